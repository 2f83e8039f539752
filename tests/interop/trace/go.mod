module cmdstream/tests/interop/trace

go 1.26.0

require (
	github.com/cmd-stream/cmd-stream-go v0.6.2
	github.com/mus-format/mus-stream-go v0.10.1
	github.com/vmihailenco/msgpack/v5 v5.4.1
	go.opentelemetry.io/otel v1.47.0
	go.opentelemetry.io/otel/trace v1.47.0
	google.golang.org/protobuf v1.36.10
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/mus-format/common-go v0.0.0-20260324174526-3d8f1741b5a2 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	github.com/ymz-ncnk/jointwork-go v0.0.0-20240428103805-1ee224bde88a // indirect
	github.com/ymz-ncnk/multierr-go v0.0.0-20230813140901-5e9302c2e02a // indirect
	golang.org/x/exp v0.0.0-20250305212735-054e65f0b394 // indirect
)
