FROM python:3.11-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# What is run is installed apart, without pip, so that it can be copied as it is.
RUN python -m venv --without-pip /opt/shop

# Before the code, so that a change there doesn't install everything again. faust-streaming has no
# wheel for arm64: it is built by what is pinned, without a compiler.
COPY requirements/build.txt requirements/image.txt /tmp/
RUN pip --python /opt/shop/bin/python install --no-cache-dir --require-hashes -r /tmp/build.txt \
    && pip --python /opt/shop/bin/python install --no-cache-dir --require-hashes --no-build-isolation -r /tmp/image.txt

WORKDIR /src
COPY . .
# Other packages' tests and headers take room. Whatever umask the checkout was made with, the user
# below can read what came from there.
RUN pip --python /opt/shop/bin/python install --no-cache-dir --no-deps --no-build-isolation . \
    && pip --python /opt/shop/bin/python uninstall --yes setuptools-scm vcs-versioning wheel \
    && find /opt/shop/lib/*/site-packages -type d \( -name tests -o -name include \) -prune -exec rm -r {} + \
    && chmod -R a+rX /opt/shop data


FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PATH="/opt/shop/bin:$PATH"

# A volume takes over the owner of the directory that it is first mounted on.
RUN useradd --create-home --uid 10001 shop && install -d -o shop -g shop /secrets

COPY --from=build /opt/shop /opt/shop
WORKDIR /app
COPY --from=build /src/data data
# By number, for whoever starts it checks that it isn't root, and doesn't know the image's names.
USER 10001:10001
CMD ["shop", "--help"]
