# The scorer and its service alone: numpy, h5py, FastAPI and uvicorn; no torch, no dgl.
#
#     docker build -t flykd-serve .
#     docker run --read-only -p 127.0.0.1:8000:8000 -v BUNDLE:/bundle:ro -e FLYKD_TOKEN=... flykd-serve
#
# Beside the base image nothing but the package index is asked. `python benchmarks/image.py` carries the steps out without docker.
FROM python:3.11-slim AS build
WORKDIR /src
COPY constraints.txt ./
COPY flykd_console ./flykd_console
COPY exporters ./exporters
COPY scorer ./scorer
RUN python -m venv /opt/serve \
    && /opt/serve/bin/python -m pip install --no-cache-dir --disable-pip-version-check -c constraints.txt './scorer[serve]'

FROM python:3.11-slim
COPY --from=build /opt/serve /opt/serve
ENV PATH=/opt/serve/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["flykd-serve"]
CMD ["/bundle", "--host", "0.0.0.0"]
