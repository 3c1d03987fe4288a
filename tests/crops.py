"""Pictures as people have them of a page: cut out, scaled, encoded again, brighter; seeded."""

import io
import random

from PIL import Image, ImageEnhance


def crop_make(picture: bytes, seed: int, *, share: tuple[float, float] = (0.25, 0.6)) -> bytes:
    """A JPEG of `share` of the picture's area, 0.5 to 1.6 times its size, quality 40 to 90."""
    rng = random.Random(seed)
    with Image.open(io.BytesIO(picture)) as opened:
        image = opened.convert("RGB")
    side = rng.uniform(*share) ** 0.5
    width, height = round(image.width * side), round(image.height * side)
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    cut = image.crop((left, top, left + width, top + height))
    scale = rng.uniform(0.5, 1.6)
    cut = cut.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    return jpeg(ImageEnhance.Brightness(cut).enhance(rng.uniform(0.9, 1.1)), rng.randint(40, 90))


def jpeg(image: Image.Image, quality: int = 85) -> bytes:
    """The encoded picture."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
