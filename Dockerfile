# The image holds one static binary, the certificates of public authorities and
# an empty /data that its user may write to, and nothing else: no shell, no
# libraries, no package manager.
#
# The base is pinned by version, not by digest: put the digest of your mirror
# behind the tag (golang:1.26.8-bookworm@sha256:…) for builds that are the same
# bit by bit.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# VERSION is what "leadstream version" says; without it Go's own idea counts.
ARG VERSION=""
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=${VERSION}" -o /out/leadstream ./cmd/leadstream \
    && mkdir /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/leadstream /leadstream
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
WORKDIR /data
EXPOSE 8480
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["/leadstream", "health"]
ENTRYPOINT ["/leadstream"]
CMD ["run"]
