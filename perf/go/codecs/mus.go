// SPDX-License-Identifier: MIT

package codecs

import (
	"fmt"

	"cmdstream/perf/go/testproto"

	"github.com/cmd-stream/cmd-stream-go/core"
	com "github.com/mus-format/common-go"
	"github.com/mus-format/mus-stream-go"
	stropts "github.com/mus-format/mus-stream-go/options/string"
	"github.com/mus-format/mus-stream-go/ord"
	"github.com/mus-format/mus-stream-go/raw"
	"github.com/mus-format/mus-stream-go/varint"
)

// In the manner of what mus-gen generates for these structs: a switch over the types, then a direct call of mus-stream-go
// for each field, in their order; integers are zigzag varints, floats raw. There is no length on the wire, so nothing can
// be skipped. Written by hand, because it differs in two things: type numbers start at 0, and a string's length is checked
// before there is memory for it.
type (
	musClient struct{}
	musServer struct{}
)

var musString = ord.NewValidStringSer(stropts.WithLenValidator(com.ValidatorFn[int](func(length int) error {
	if length > MaxLen {
		return errTooLarge
	}
	return nil
})))

func (musClient) Encode(cmd core.Cmd[*testproto.Receiver], to writer) (int, error) {
	var w mus.Writer = to
	switch c := cmd.(type) {
	case testproto.EchoCmd:
		return musWrite(0, w, c, musWriteEcho)
	case testproto.StreamCmd:
		return musWrite(1, w, c, musWriteStream)
	case testproto.SleepCmd:
		return musWrite(2, w, c, musWriteSleep)
	case testproto.FailCmd:
		return varint.PositiveInt.Marshal(3, w)
	case testproto.WorkCmd:
		return musWrite(4, w, c.Us, varint.Int64.Marshal)
	}
	return 0, fmt.Errorf("%w: %T", errUnknownType, cmd)
}

func (musServer) Encode(result core.Result, to writer) (int, error) {
	var w mus.Writer = to
	switch r := result.(type) {
	case testproto.EchoResult:
		return musWrite(0, w, testproto.EchoCmd(r), musWriteEcho)
	case testproto.ItemResult:
		return musWrite(1, w, r, musWriteItem)
	}
	return 0, fmt.Errorf("%w: %T", errUnknownType, result)
}

func (musServer) Decode(from reader) (cmd core.Cmd[*testproto.Receiver], n int, err error) {
	var r mus.Reader = from
	number, n, err := varint.PositiveInt.Unmarshal(r)
	if err != nil {
		return nil, n, err
	}
	n1 := 0
	switch number {
	case 0:
		cmd, n1, err = musReadEcho(r)
	case 1:
		cmd, n1, err = musReadStream(r)
	case 2:
		cmd, n1, err = musReadSleep(r)
	case 3:
		cmd = testproto.FailCmd{}
	case 4:
		cmd, n1, err = musReadWork(r)
	default:
		err = fmt.Errorf("%w: number %d", errUnknownType, number)
	}
	return cmd, n + n1, noEOF(err)
}

func (musClient) Decode(from reader) (result core.Result, n int, err error) {
	var r mus.Reader = from
	number, n, err := varint.PositiveInt.Unmarshal(r)
	if err != nil {
		return nil, n, err
	}
	n1 := 0
	switch number {
	case 0:
		var echo testproto.EchoCmd
		echo, n1, err = musReadEcho(r)
		result = testproto.EchoResult(echo)
	case 1:
		result, n1, err = musReadItem(r)
	default:
		err = fmt.Errorf("%w: number %d", errUnknownType, number)
	}
	return result, n + n1, noEOF(err)
}

func musWrite[V any](number int, w mus.Writer, value V, write func(V, mus.Writer) (int, error)) (n int, err error) {
	if n, err = varint.PositiveInt.Marshal(number, w); err != nil {
		return
	}
	n1, err := write(value, w)
	return n + n1, err
}

func musWriteEcho(v testproto.EchoCmd, w mus.Writer) (n int, err error) {
	if n, err = ord.Bool.Marshal(v.Bool, w); err != nil {
		return
	}
	n1, err := varint.Int64.Marshal(v.Int64, w)
	n += n1
	if err != nil {
		return
	}
	n1, err = ord.String.Marshal(v.String, w)
	n += n1
	if err != nil {
		return
	}
	n1, err = raw.Float64.Marshal(v.Float64, w)
	return n + n1, err
}

func musReadEcho(r mus.Reader) (v testproto.EchoCmd, n int, err error) {
	if v.Bool, n, err = ord.Bool.Unmarshal(r); err != nil {
		return
	}
	n1 := 0
	v.Int64, n1, err = varint.Int64.Unmarshal(r)
	n += n1
	if err != nil {
		return
	}
	v.String, n1, err = musString.Unmarshal(r)
	n += n1
	if err != nil {
		return
	}
	v.Float64, n1, err = raw.Float64.Unmarshal(r)
	return v, n + n1, err
}

func musWriteStream(v testproto.StreamCmd, w mus.Writer) (n int, err error) {
	if n, err = varint.Int64.Marshal(v.Count, w); err != nil {
		return
	}
	n1, err := varint.Int64.Marshal(v.Size, w)
	return n + n1, err
}

func musReadStream(r mus.Reader) (v testproto.StreamCmd, n int, err error) {
	if v.Count, n, err = varint.Int64.Unmarshal(r); err != nil {
		return
	}
	n1 := 0
	v.Size, n1, err = varint.Int64.Unmarshal(r)
	return v, n + n1, err
}

func musWriteSleep(v testproto.SleepCmd, w mus.Writer) (n int, err error) {
	if n, err = varint.Int64.Marshal(v.Ms, w); err != nil {
		return
	}
	n1, err := musWriteEcho(testproto.EchoCmd{Bool: v.Bool, Int64: v.Int64, String: v.String, Float64: v.Float64}, w)
	return n + n1, err
}

func musReadSleep(r mus.Reader) (v testproto.SleepCmd, n int, err error) {
	if v.Ms, n, err = varint.Int64.Unmarshal(r); err != nil {
		return
	}
	echo, n1, err := musReadEcho(r)
	v.Bool, v.Int64, v.String, v.Float64 = echo.Bool, echo.Int64, echo.String, echo.Float64
	return v, n + n1, err
}

func musReadWork(r mus.Reader) (v testproto.WorkCmd, n int, err error) {
	v.Us, n, err = varint.Int64.Unmarshal(r)
	return
}

func musWriteItem(v testproto.ItemResult, w mus.Writer) (n int, err error) {
	if n, err = varint.Int64.Marshal(v.Index, w); err != nil {
		return
	}
	n1, err := ord.Bool.Marshal(v.Last, w)
	n += n1
	if err != nil {
		return
	}
	n1, err = ord.String.Marshal(v.Data, w)
	return n + n1, err
}

func musReadItem(r mus.Reader) (v testproto.ItemResult, n int, err error) {
	if v.Index, n, err = varint.Int64.Unmarshal(r); err != nil {
		return
	}
	n1 := 0
	v.Last, n1, err = ord.Bool.Unmarshal(r)
	n += n1
	if err != nil {
		return
	}
	v.Data, n1, err = musString.Unmarshal(r)
	return v, n + n1, err
}
