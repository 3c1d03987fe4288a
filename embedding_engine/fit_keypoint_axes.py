"""Makes keypoint_axes.npz: `python -m embedding_engine.fit_keypoint_axes FOLDER`.

FOLDER holds pictures of pages, in folders of any depth; the stored axes were fitted on the pages of
the demo set, as `manage.py demo_load` renders them. Nothing of the pictures is in the artifact,
only the axes that their points vary along.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from embedding_engine.keypoints import AXES_FILE, CODE_BITS, PAGE_POINTS, root_sift
from embedding_engine.types import FloatArray


def main(folder: Path) -> None:
    """Describe, fit, write."""
    pictures = sorted(folder.rglob("*.jpg"))
    points = np.concatenate([described(path) for path in pictures if path.is_file()])
    mean, axes = fitted_axes(points)
    np.savez_compressed(AXES_FILE, mean=mean.astype(np.float16), axes=axes.astype(np.float16))


def described(path: Path) -> FloatArray:
    """(n, 128) of one picture."""
    with Image.open(path) as image:
        return root_sift(image, PAGE_POINTS)[1]


def fitted_axes(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(n, 128) -> mean (128,) and the CODE_BITS principal axes as columns, most variance first.

    An axis may point either way: its largest component is made positive, so that every fit agrees.
    """
    mean = points.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov((points - mean).T.astype(np.float64)))
    axes = axes[:, np.argsort(-values)[:CODE_BITS]]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(CODE_BITS)]
    return mean, (axes * np.sign(largest)).astype(np.float32)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
