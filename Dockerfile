FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# A volume takes over the owner of the directory that it is first mounted on.
RUN useradd --create-home --uid 10001 shop && install -d -o shop -g shop /state

# Before the code, so that a change there doesn't install everything again.
COPY requirements/run.txt /tmp/run.txt
RUN pip install --no-cache-dir --require-hashes -r /tmp/run.txt

# Mounted, not copied: the image needs the installed package only. The build writes beside the
# code, which `rw` lets it do without keeping anything.
RUN --mount=type=bind,target=/src,rw \
    cd /src && pip install --no-cache-dir --no-deps --no-build-isolation .

WORKDIR /app
COPY data data
USER shop
CMD ["shop", "--help"]
