// SPDX-License-Identifier: MIT

package codecs

import (
	"fmt"
	"reflect"

	"cmdstream/perf/go/pb"
	"cmdstream/perf/go/testproto"

	"google.golang.org/protobuf/proto"
)

// The commands are put into the messages that protoc-gen-go has written and back; strings are shared, not copied.
var protobufFormat = format{
	append: appendProtobuf,
	commands: types{
		asProtobuf(func(m *pb.CommandEcho) testproto.EchoCmd {
			return testproto.EchoCmd{Bool: m.Bool, Int64: m.Int64, String: m.String_, Float64: m.Float64}
		}),
		asProtobuf(func(m *pb.CommandStream) testproto.StreamCmd {
			return testproto.StreamCmd{Count: m.Count, Size: m.Size}
		}),
		asProtobuf(func(m *pb.CommandSleep) testproto.SleepCmd {
			return testproto.SleepCmd{Ms: m.Ms, Bool: m.Bool, Int64: m.Int64, String: m.String_, Float64: m.Float64}
		}),
		asProtobuf(func(*pb.CommandFail) testproto.FailCmd { return testproto.FailCmd{} }),
		asProtobuf(func(m *pb.CommandWork) testproto.WorkCmd { return testproto.WorkCmd{Us: m.Us} }),
	},
	results: types{
		asProtobuf(func(m *pb.ResultEcho) testproto.EchoResult {
			return testproto.EchoResult{Bool: m.Bool, Int64: m.Int64, String: m.String_, Float64: m.Float64}
		}),
		asProtobuf(func(m *pb.ResultItem) testproto.ItemResult {
			return testproto.ItemResult{Index: m.Index, Last: m.Last, Data: m.Data}
		}),
	},
}

// asProtobuf is a type of a list whose body is the message M, of which `from` makes the value.
func asProtobuf[V, M any, P interface {
	*M
	proto.Message
}](from func(P) V) listed {
	return listed{reflect.TypeFor[V](), func(body []byte) (any, error) {
		var m M
		err := proto.Unmarshal(body, P(&m))
		return from(&m), err
	}}
}

func appendProtobuf(out []byte, value any) ([]byte, error) {
	message := toMessage(value)
	if message == nil {
		return out, fmt.Errorf("%w: %T", errUnknownType, value)
	}
	return proto.MarshalOptions{}.MarshalAppend(out, message)
}

func toMessage(value any) proto.Message {
	switch v := value.(type) {
	case testproto.EchoCmd:
		return &pb.CommandEcho{Bool: v.Bool, Int64: v.Int64, String_: v.String, Float64: v.Float64}
	case testproto.StreamCmd:
		return &pb.CommandStream{Count: v.Count, Size: v.Size}
	case testproto.SleepCmd:
		return &pb.CommandSleep{Ms: v.Ms, Bool: v.Bool, Int64: v.Int64, String_: v.String, Float64: v.Float64}
	case testproto.FailCmd:
		return &pb.CommandFail{}
	case testproto.WorkCmd:
		return &pb.CommandWork{Us: v.Us}
	case testproto.EchoResult:
		return &pb.ResultEcho{Bool: v.Bool, Int64: v.Int64, String_: v.String, Float64: v.Float64}
	case testproto.ItemResult:
		return &pb.ResultItem{Index: v.Index, Last: v.Last, Data: v.Data}
	}
	return nil
}
