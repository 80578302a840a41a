"""The dialect TrueX: spot trading by signed requests, at `/api/v1`."""
