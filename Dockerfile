# Inkling in a container:
#   docker build -t inkling .
#   docker run -p 8501:8501 -v inkling-runs:/app/checkpoints -v inkling-data:/app/data inkling
# PyTorch from the default index includes CUDA on Linux x86-64 and takes several gigabytes. For the
# small CPU build, pass the index that PyTorch's installation page names for "CPU":
#   docker build --build-arg TORCH_INDEX=ADDRESS -t inkling .
FROM python:3.12-slim

ARG TORCH_INDEX=""

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app

COPY requirements.txt constraints.txt ./
RUN if [ -n "$TORCH_INDEX" ]; then \
        pip install -c constraints.txt --index-url "$TORCH_INDEX" torch torchvision; \
    fi \
    && pip install -r requirements.txt "streamlit[auth]" -c constraints.txt

COPY .streamlit .streamlit
COPY core core
COPY pages pages
COPY streamlit_app.py README.md LICENSE pyproject.toml ./
COPY checkpoints checkpoints

RUN useradd --uid 1000 --create-home inkling \
    && mkdir -p data \
    && chown -R inkling:inkling checkpoints data
USER 1000

VOLUME ["/app/checkpoints", "/app/data"]
EXPOSE 8501

HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://localhost:8501/_stcore/health', timeout=4)"]

# All addresses only inside the container; publish the port to the outside with care.
CMD ["python", "-m", "streamlit", "run", "streamlit_app.py", "--server.address", "0.0.0.0", "--server.port", "8501"]
