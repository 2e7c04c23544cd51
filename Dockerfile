# syntax=docker/dockerfile:1.7

# One file for every image: the first stage builds all binaries once, the last one holds the binary that SERVICE names.
#     docker build --build-arg SERVICE=pledge --tag careforall/pledge .

FROM rust:1.95.0-slim-bookworm AS build
# librdkafka is compiled from its bundled source by its own configure and make; aws-lc by the C compiler alone.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The toolchain file of the repository asks for rustfmt and clippy too, which no image needs.
# zlib goes into the binary, because the image that runs it has no libz. The compiler may take its time here:
# fat link-time optimisation in images only.
ENV RUSTUP_TOOLCHAIN=1.95.0 \
    LIBZ_SYS_STATIC=1 \
    CARGO_PROFILE_RELEASE_LTO=fat \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
COPY . .
# Registry and target live in caches of the builder, so a changed line rebuilds one crate and not six hundred.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --release --bins \
        --package gateway --package user --package campaign --package pledge --package payment \
        --package totals --package notification --package psp-sim \
    && mkdir /out \
    && for name in gateway user campaign pledge payment totals notification psp-sim; do \
        install -D "target/release/$name" "/out/$name/app"; \
    done

# glibc, libgcc and root certificates; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG SERVICE
COPY --from=build /out/${SERVICE}/app /app
# All threads share one heap, those of Kafka's client, which is C, another.
ENV _RJEM_MALLOC_CONF=narenas:1 \
    MALLOC_ARENA_MAX=1
USER nonroot:nonroot
# Each binary can ask its own /readyz, so the image needs no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --start-interval=500ms --retries=3 CMD ["/app", "--health"]
ENTRYPOINT ["/app"]
