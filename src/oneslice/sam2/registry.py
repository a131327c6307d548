"""The models that have a name: the one inside the package and the eight official checkpoints.

Revisions are commit hashes of the published repositories, so that a name means the same weights
on every machine and in every year.  Where no commit could be confirmed, the revision is the
branch ``main``: the hash of the file is then recorded when it is first downloaded, and a later
download that differs is refused (trust on first use).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

MINI = "mini"
MINI_FOLDER = Path(__file__).resolve().parents[1] / "checkpoints" / "mini"
MINI_PARAMETERS = 4_888_752
LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class OfficialModel:
    """One of Meta's published checkpoints.

    Args:
        name: the short name, such as ``sam2.1-tiny``.
        parameters: the number of weights.
        revision: the commit (or branch) of the repository that the name stands for.
        sha256: the published hash of the weights, where it is known.
        image_size: the side, in pixels, of the images that it was trained on.
    """

    name: str
    parameters: int
    revision: str = "main"
    sha256: str | None = None
    image_size: int = 1024

    @property
    def repository(self) -> str:
        """The repository's name on the hub."""
        version, _, size = self.name.partition("-")
        return f"facebook/{version}-hiera-{size}"

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit rather than a branch that may move."""
        return self.revision != "main"


OFFICIAL_MODELS = (
    OfficialModel(
        "sam2.1-tiny",
        38_962_498,
        "de431c4043854a71d8101e17995dfe596bf101a5",
        "48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7",
    ),
    OfficialModel(
        "sam2.1-small",
        46_060_354,
        "ee5bba1d82bb8749febdf90f45e84b687142ba03",
        "0a4067b11ce1e23d5229203f11c718a823060d15a4b23fa2372a7d4b77cbbc60",
    ),
    OfficialModel(
        "sam2.1-base-plus",
        80_850_178,
        "b7320756a13354e7530a63935656d35b2f91a290",
        "2012733a0de5d03efd1bba550a2847c4551be9ef2e0d497c83074df66189f780",
    ),
    OfficialModel(
        "sam2.1-large",
        224_446_642,
        "665f8e2ad61cf5f53d65644ff27c8ee525124610",
        "dc407dce21301fd94abb395c5099b4f2c455fdc8a8f261ac3d0ea6d4cd197230",
    ),
    OfficialModel("sam2-tiny", 38_945_986, "7c218beaf0bb87874785f32b582f640134fc1c09"),
    OfficialModel("sam2-small", 46_043_842, "e080ada8afd19df5e165abe71b006edc7f4c3d4e"),
    OfficialModel("sam2-base-plus", 80_833_666),
    OfficialModel("sam2-large", 224_430_130, "e6a8e8809b8f1bfa2238b6d080f3d05cc76bd251"),
)
NAMES = (MINI, *(model.name for model in OFFICIAL_MODELS))


def official_model(name: str) -> OfficialModel | None:
    """The official checkpoint of that name, or None.

    ``sam2.1-hiera-tiny``, ``sam2.1_hiera_tiny`` and ``facebook/sam2.1-hiera-tiny`` all mean
    ``sam2.1-tiny``; so does ``base+`` mean ``base-plus``.
    """
    short = name.lower().removeprefix("facebook/").replace("_", "-").replace("base+", "base-plus")
    short = short.replace("-hiera-", "-")
    return next((model for model in OFFICIAL_MODELS if model.name == short), None)


def similar_names(name: str) -> list[str]:
    """Known names that a mistyped one may have meant, the likeliest first."""
    return difflib.get_close_matches(name.lower(), NAMES, n=2)
