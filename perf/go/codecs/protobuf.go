// SPDX-License-Identifier: MIT

package codecs

import (
	"fmt"

	"cmdstream/perf/go/pb"
	"cmdstream/perf/go/testproto"

	"github.com/cmd-stream/cmd-stream-go/core"
	"google.golang.org/protobuf/proto"
)

// protobufFormat puts the commands into the messages that protoc-gen-go has written and back; strings are shared, not
// copied.
type protobufFormat struct{}

func (protobufFormat) append(out []byte, value any) ([]byte, error) {
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

func (protobufFormat) command(number int, body []byte) (core.Cmd[*testproto.Receiver], error) {
	switch number {
	case 0:
		var m pb.CommandEcho
		err := proto.Unmarshal(body, &m)
		return testproto.EchoCmd{Bool: m.Bool, Int64: m.Int64, String: m.String_, Float64: m.Float64}, err
	case 1:
		var m pb.CommandStream
		err := proto.Unmarshal(body, &m)
		return testproto.StreamCmd{Count: m.Count, Size: m.Size}, err
	case 2:
		var m pb.CommandSleep
		err := proto.Unmarshal(body, &m)
		return testproto.SleepCmd{Ms: m.Ms, Bool: m.Bool, Int64: m.Int64, String: m.String_, Float64: m.Float64}, err
	case 3:
		return testproto.FailCmd{}, proto.Unmarshal(body, &pb.CommandFail{})
	case 4:
		var m pb.CommandWork
		err := proto.Unmarshal(body, &m)
		return testproto.WorkCmd{Us: m.Us}, err
	}
	return nil, errUnknownType
}

func (protobufFormat) result(number int, body []byte) (core.Result, error) {
	switch number {
	case 0:
		var m pb.ResultEcho
		err := proto.Unmarshal(body, &m)
		return testproto.EchoResult{Bool: m.Bool, Int64: m.Int64, String: m.String_, Float64: m.Float64}, err
	case 1:
		var m pb.ResultItem
		err := proto.Unmarshal(body, &m)
		return testproto.ItemResult{Index: m.Index, Last: m.Last, Data: m.Data}, err
	}
	return nil, errUnknownType
}
