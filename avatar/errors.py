"""What can go wrong with an avatar; every message names the file and the reason."""


class AvatarError(Exception):
    """The avatar cannot be used."""


class ModelError(AvatarError):
    """The lip-sync model or its card is missing, broken or of the wrong shape."""


class RigError(AvatarError):
    """The avatar's folder, its manifest or one of its layers is missing or broken."""
