FROM python:3.11-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# What is run is installed apart, without pip, so that it can be copied as it is.
RUN python -m venv --without-pip /opt/shop

# Before the code, so that a change there doesn't install everything again.
COPY requirements/run.txt /tmp/run.txt
RUN pip --python /opt/shop/bin/python install --no-cache-dir --require-hashes -r /tmp/run.txt

WORKDIR /src
COPY . .
RUN pip --python /opt/shop/bin/python install --no-cache-dir --no-deps --no-build-isolation .


FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PATH="/opt/shop/bin:$PATH"

# A volume takes over the owner of the directory that it is first mounted on.
RUN useradd --create-home --uid 10001 shop && install -d -o shop -g shop /secrets

COPY --from=build /opt/shop /opt/shop
WORKDIR /app
COPY data data
# By number, for whoever starts it checks that it isn't root, and doesn't know the image's names.
USER 10001:10001
CMD ["shop", "--help"]
