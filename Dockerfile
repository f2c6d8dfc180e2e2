# docker build -t phonolyte . && docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" phonolyte screen my_cifs/ -o run/
FROM python:3.11-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/phonolyte && /opt/phonolyte/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.11-slim
COPY --from=build /opt/phonolyte /opt/phonolyte
# Any user may be given: what the program compiles and downloads goes where everyone may write.
ENV PATH=/opt/phonolyte/bin:$PATH HOME=/home/phonolyte NUMBA_CACHE_DIR=/home/phonolyte/numba
RUN useradd --create-home phonolyte && chmod 1777 /home/phonolyte
USER phonolyte
WORKDIR /work
ENTRYPOINT ["phonolyte"]
CMD ["--help"]
