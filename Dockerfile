# One image, one command:
#
#     docker build -t archive . && docker run -p 127.0.0.1:8080:8080 -p 11112:11112 -v archive:/data archive
#
# Over HTTP everybody signs in: make yourself known with `docker exec -it CONTAINER archive user add NAME --role administrator`.
# Passwords go over TLS alone: publish the port on 127.0.0.1, as above, or to a reverse proxy that has it. Callers on the
# DIMSE port come from outside the container: make each known with `docker exec CONTAINER archive ae add NAME HOST PORT`.
FROM python:3.12-slim

RUN useradd --system --create-home --uid 10001 archive \
    && install --directory --owner=archive --group=archive --mode=0700 /data

# What annotations on pictures are written in, Hebrew and Arabic in their order (libfribidi0); fonts-noto-cjk adds
# Chinese, Japanese and Korean (60 MB).
RUN apt-get update && apt-get install --yes --no-install-recommends fonts-dejavu-core libfribidi0 && rm -rf /var/lib/apt/lists/*

COPY pyproject.toml README.md /source/
COPY src /source/src
RUN pip install --no-cache-dir /source && rm -r /source

# OHIF for /viewer, outside of the volume: it belongs to the image, and changes with it.
ENV ARCHIVE_VIEWER_FOLDER=/opt/archive-viewer
RUN archive viewer install

USER archive
WORKDIR /home/archive
ENV ARCHIVE_DATA=/data \
    ARCHIVE_HTTP_LISTEN=0.0.0.0:8080 \
    ARCHIVE_HTTP_BEHIND_PROXY=true
VOLUME /data
EXPOSE 8080 11112
STOPSIGNAL SIGTERM

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health/live', timeout=4)"]

ENTRYPOINT ["archive"]
CMD ["serve"]
