module cmdstream/perf/go

go 1.24.1

require (
	cmdstream/codecs/msgpack/go v0.0.0
	github.com/cmd-stream/cmd-stream-go v0.6.2
	github.com/mus-format/common-go v0.0.0-20260324174526-3d8f1741b5a2
	github.com/mus-format/mus-stream-go v0.10.1
	google.golang.org/grpc v1.73.0
	google.golang.org/protobuf v1.36.10
)

require (
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	github.com/ymz-ncnk/jointwork-go v0.0.0-20240428103805-1ee224bde88a // indirect
	github.com/ymz-ncnk/multierr-go v0.0.0-20230813140901-5e9302c2e02a // indirect
	golang.org/x/exp v0.0.0-20250305212735-054e65f0b394 // indirect
	golang.org/x/net v0.38.0 // indirect
	golang.org/x/sys v0.31.0 // indirect
	golang.org/x/text v0.23.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20250324211829-b45e905df463 // indirect
)

replace cmdstream/codecs/msgpack/go => ../../codecs/msgpack/go
