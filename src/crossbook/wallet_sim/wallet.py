"""The methods of a simulated wallet: its address and money, signing, and the three steps of a swap."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from crossbook.security.wallet_addresses import AddressRefused, WalletAddress, parse_address
from crossbook.security.wallet_keys import WalletKeys
from crossbook.security.wallet_signatures import SignatureFormat
from crossbook.system import Clock
from crossbook.wallet_sim.chain import MOST_UNITS, Funds, PretendChain, SpentAlready, Swap, TooLittle
from crossbook.wallet_sim.daemon import decoded, descriptor_of
from crossbook.wallet_sim.errors import DaemonBusy, InvalidParams, NotEnoughMoney, WrongAddress, WrongArgument
from crossbook.wallet_sim.faults import Fault, Faults
from crossbook.wallet_sim.proposals import MOST_FUNDS, Proposal, ProposalRefused, new_proposal_id, seal, unseal
from crossbook.wallet_sim.rpc import Answer, Method, Methods, NoParams

FEE_UNITS: Final = 10_000_000_000
"""What a transaction costs: 0.01 of the native asset."""
PROPOSAL_LIFETIME_MS: Final = 30 * 60 * 1000
MOST_LIFETIME_MS: Final = 2 * PROPOSAL_LIFETIME_MS
"""A proposal that expires later is none that a wallet makes, and the chain would have to remember it as long."""
MS: Final = 1000


class SignParams(msgspec.Struct):
    """A message in base64."""

    buff: str


class FundsParams(msgspec.Struct):
    """An amount in the asset's smallest unit."""

    asset_id: str
    amount: int


class ProposalParams(msgspec.Struct):
    """What each side gets. `expiration_time` in seconds since 1970."""

    to_finalizer: list[FundsParams]
    to_initiator: list[FundsParams]
    mixins: int = 10
    fee_paid_by_a: int = FEE_UNITS
    expiration_time: int | None = None


class GenerateParams(msgspec.Struct):
    """A swap, and who is to accept it."""

    destination_address: str
    proposal: ProposalParams


class HexParams(msgspec.Struct):
    """A proposal as text."""

    hex_raw_proposal: str


class SimulatedWallet:
    """One wallet: keys, and what it has on the chain. `least_proposal_bytes` makes proposals as long as real ones."""

    def __init__(
        self,
        name: str,
        keys: WalletKeys,
        chain: PretendChain,
        faults: Faults,
        clock: Clock,
        format: SignatureFormat = SignatureFormat.LEGACY,
        least_proposal_bytes: int = 0,
    ) -> None:
        self.name = name
        self.keys = keys
        self.address = keys.address().text
        self._chain = chain
        self._faults = faults
        self._clock = clock
        self._format = format
        self._least_proposal_bytes = least_proposal_bytes
        self.methods: Methods = {
            "getaddress": Method(NoParams, self._address),
            "getbalance": Method(NoParams, self._balance),
            "sign_message": Method(SignParams, self._sign),
            "assets_whitelist_get": Method(NoParams, self._whitelist),
            "ionic_swap_generate_proposal": Method(GenerateParams, self._generate),
            "ionic_swap_get_proposal_info": Method(HexParams, self._info),
            "ionic_swap_accept_proposal": Method(HexParams, self._accept),
        }

    # -- The wallet itself ---------------------------------------------------------------------------
    def _address(self, params: NoParams) -> Answer:
        del params
        return {"address": self.address, "payment_id": ""}

    def _balance(self, params: NoParams) -> Answer:
        del params
        self._need_daemon()
        held = self._chain.balances(self.address)
        native = held.get(self._chain.native.asset_id, 0)
        return {
            "balance": native,
            "unlocked_balance": native,
            "balances": [
                {"asset_info": self._described(asset_id), "total": units, "unlocked": units}
                for asset_id, units in held.items()
            ],
        }

    def _sign(self, params: SignParams) -> Answer:
        return {"pkey": self.keys.spend_key.hex(), "sig": self.keys.sign(decoded(params.buff), self._format)}

    def _whitelist(self, params: NoParams) -> Answer:
        del params
        self._need_daemon()
        return {
            "global_whitelist": [self._described(asset.asset_id) for asset in self._chain.assets()],
            "local_whitelist": [],
            "own_assets": [],
        }

    def _described(self, asset_id: str) -> dict[str, Any]:
        asset = self._chain.asset(asset_id)
        if asset is None:
            return {"asset_id": asset_id}
        return {**descriptor_of(asset, self._chain.supply(asset_id)), "asset_id": asset_id}

    # -- Swaps ---------------------------------------------------------------------------------------
    def _generate(self, params: GenerateParams) -> Answer:
        self._need_daemon()
        finalizer = _address_in(params.destination_address)
        terms = params.proposal
        if not 0 <= terms.fee_paid_by_a <= MOST_UNITS or not 0 <= terms.mixins <= MOST_UNITS:
            raise InvalidParams("fee_paid_by_a and mixins must be 64-bit numbers")
        swap = Swap(
            new_proposal_id(),
            initiator=self.address,
            finalizer=finalizer.plain.text,
            to_finalizer=self._funds_in(terms.to_finalizer),
            to_initiator=self._funds_in(terms.to_initiator),
            fee_units=terms.fee_paid_by_a,
        )
        given = (*swap.to_finalizer, Funds(self._chain.native.asset_id, swap.fee_units))
        self._need_money(lambda: self._chain.check_money(self.address, given))
        expires_at_ms = self._clock.now_ms() + PROPOSAL_LIFETIME_MS
        if terms.expiration_time:
            expires_at_ms = max(0, min(expires_at_ms, terms.expiration_time * MS))
        proposal = Proposal(swap, expires_at_ms, terms.mixins)
        return {"hex_raw_proposal": seal(proposal, self.keys, finalizer, self._least_proposal_bytes)}

    def _info(self, params: HexParams) -> Answer:
        proposal = self._opened(params.hex_raw_proposal)
        return {
            "proposal": {
                "fee_paid_by_a": proposal.swap.fee_units,
                "mixins": proposal.mixins,
                "to_finalizer": _plain(proposal.swap.to_finalizer),
                "to_initiator": _plain(proposal.swap.to_initiator),
            }
        }

    def _accept(self, params: HexParams) -> Answer:
        self._need_daemon()
        proposal = self._opened(params.hex_raw_proposal)
        if self._chain.transaction_of(proposal.swap.proposal_id) is not None:
            raise WrongArgument("the proposal was accepted before")
        if self._faults.happens(Fault.PROPOSAL_EXPIRED, self.name) or self._clock.now_ms() >= proposal.expires_at_ms:
            raise WrongArgument("the proposal has expired")
        if proposal.expires_at_ms > self._clock.now_ms() + MOST_LIFETIME_MS:
            raise WrongArgument("the proposal expires too late")
        transaction_ids: list[str] = []
        self._need_money(lambda: transaction_ids.append(self._chain.accept(proposal.swap, proposal.expires_at_ms)))
        return {"result_tx_id": transaction_ids[0]}

    def _opened(self, text: str) -> Proposal:
        try:
            proposal = unseal(text, self.keys)
        except ProposalRefused as error:
            raise WrongArgument(str(error)) from error
        if proposal.swap.finalizer != self.address:
            raise WrongArgument("the proposal is for another wallet")
        return proposal

    def _funds_in(self, params: Sequence[FundsParams]) -> tuple[Funds, ...]:
        if not 1 <= len(params) <= MOST_FUNDS:
            raise InvalidParams(f"each side gets 1 to {MOST_FUNDS} amounts")
        for each in params:
            if self._chain.asset(each.asset_id) is None:
                raise WrongArgument(f"there is no asset {each.asset_id}")
            if not 0 < each.amount <= MOST_UNITS:
                raise InvalidParams("amount must be a 64-bit number above zero")
        return tuple(Funds(each.asset_id, each.amount) for each in params)

    # -- What can go wrong ---------------------------------------------------------------------------
    def _need_daemon(self) -> None:
        if self._faults.happens(Fault.DAEMON_DOWN, self.name):
            raise DaemonBusy("no connection to the daemon")

    def _need_money(self, work: Callable[[], object]) -> None:
        """Do what may fail for lack of money. Raises NotEnoughMoney and WrongArgument."""
        if self._faults.happens(Fault.NOT_ENOUGH_MONEY, self.name):
            raise NotEnoughMoney("not enough money")
        try:
            work()
        except TooLittle as error:
            if error.address != self.address:
                raise WrongArgument("the initiator has spent what he offers") from error
            raise NotEnoughMoney(str(error)) from error
        except SpentAlready as error:
            raise WrongArgument(str(error)) from error


def _address_in(text: str) -> WalletAddress:
    try:
        return parse_address(text)
    except AddressRefused as error:
        raise WrongAddress(str(error)) from error


def _plain(funds: Sequence[Funds]) -> list[dict[str, Any]]:
    return [{"amount": each.amount_units, "asset_id": each.asset_id} for each in funds]
