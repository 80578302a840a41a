"""What a venue keeps secret: from the settings, else from its data folder, made there at the first start."""

from typing import Final

from crossbook import private_files
from crossbook.security.sealing import Sealer, new_sealing_key, sealing_key
from crossbook.settings import Settings
from crossbook.system import secret_token
from crossbook.venue import VenueError

SIGNING_FILE: Final = "jwt_secret"
SEALING_FILE: Final = "sealing_key"
SECRET_BYTES: Final = 48


def signing_secret(settings: Settings) -> str:
    """What signs tokens. Raises DataFolderError."""
    if settings.jwt_secret is not None:
        return settings.jwt_secret
    file = settings.data_dir / SIGNING_FILE
    secret = (private_files.read(file) or "").strip()
    if not secret:
        secret = secret_token(SECRET_BYTES)
        private_files.write(file, secret + "\n")
    return secret


def sealer_of(settings: Settings) -> Sealer:
    """What seals secrets in the database. Raises DataFolderError and VenueError.

    The file of the data folder has one key on each line, the newest first.
    """
    if settings.sealing_keys:
        return Sealer([sealing_key(key) for key in settings.sealing_keys])
    file = settings.data_dir / SEALING_FILE
    text = (private_files.read(file) or "").strip()
    if not text:
        text = new_sealing_key()
        private_files.write(file, text + "\n")
    try:
        return Sealer([sealing_key(line) for line in text.splitlines()])
    except ValueError as error:
        raise VenueError(f"{file} is damaged: {error}; put it back from a backup") from error
