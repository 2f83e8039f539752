// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/cmd-stream/cmd-stream-go/core"
	tspt "github.com/cmd-stream/cmd-stream-go/transport"
	"github.com/mus-format/mus-stream-go"
	"github.com/mus-format/mus-stream-go/ord"
	"github.com/mus-format/mus-stream-go/varint"
	"github.com/vmihailenco/msgpack/v5"
	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers on the wire.
const (
	sumNumber   = 3
	traceNumber = 10
	totalNumber = 0
	oopsNumber  = 9
)

var errBody = errors.New("codec: not such a value")

// A format is what stands behind a type's number: with a length in front, but for MUS.
type format struct {
	delimited bool
	append    func(value any) ([]byte, error)
	sum       func(r io.Reader) (sumCmd, error)
	trace     func(r io.Reader) (traceCmd, error)
	total     func(r io.Reader) (total, error)
	oops      func(r io.Reader) (oops, error)
}

func formatOf(name string) (*format, error) {
	switch name {
	case "json":
		return &format{false, json.Marshal, readJSON[sumCmd], readJSON[traceCmd], readJSON[total], readJSON[oops]}, nil
	case "msgpack":
		return &format{false, appendMsgpack, readMsgpack[sumCmd], readMsgpack[traceCmd], readMsgpack[total], readMsgpack[oops]}, nil
	case "protobuf":
		return &format{false, appendProtobuf, readSumProtobuf, readTraceProtobuf, readTotalProtobuf, readOopsProtobuf}, nil
	case "mus":
		return &format{true, appendMUS, readSumMUS, readTraceMUS, readTotalMUS, readOopsMUS}, nil
	}
	return nil, fmt.Errorf("no codec %q", name)
}

func (f *format) write(number int, value any, w tspt.Writer) (n int, err error) {
	body, err := f.append(value)
	if err != nil {
		return
	}
	if n, err = varint.PositiveInt.Marshal(number, w); err != nil {
		return
	}
	if !f.delimited {
		n1, err := varint.PositiveInt.Marshal(len(body), w)
		n += n1
		if err != nil {
			return n, err
		}
	}
	n1, err := w.Write(body)
	return n + n1, err
}

// body is what follows the number: of MUS all that is still to come.
func (f *format) body(r tspt.Reader) (io.Reader, error) {
	if f.delimited {
		return r, nil
	}
	length, _, err := varint.PositiveInt.Unmarshal(r)
	if err != nil {
		return nil, err
	}
	body := make([]byte, length)
	_, err = io.ReadFull(r, body)
	return bytes.NewReader(body), err
}

type (
	clientCodec struct{ *format }
	serverCodec struct{ *format }
)

func (c clientCodec) Encode(cmd core.Cmd[*receiver], w tspt.Writer) (int, error) {
	switch cmd.(type) {
	case sumCmd:
		return c.write(sumNumber, cmd, w)
	case traceCmd:
		return c.write(traceNumber, cmd, w)
	}
	return 0, errBody
}

func (c clientCodec) Decode(r tspt.Reader) (core.Result, int, error) {
	number, n, err := varint.PositiveInt.Unmarshal(r)
	if err != nil {
		return nil, n, err
	}
	if number != totalNumber && number != oopsNumber {
		return nil, n, errBody
	}
	body, err := c.body(r)
	if err != nil {
		return nil, n, err
	}
	if number == oopsNumber {
		result, err := c.oops(body)
		return result, n, err
	}
	result, err := c.total(body)
	return result, n, err
}

func (c serverCodec) Encode(result core.Result, w tspt.Writer) (int, error) {
	if _, failed := result.(oops); failed {
		return c.write(oopsNumber, result, w)
	}
	return c.write(totalNumber, result, w)
}

func (c serverCodec) Decode(r tspt.Reader) (cmd core.Cmd[*receiver], n int, err error) {
	number, n, err := varint.PositiveInt.Unmarshal(r)
	if err != nil {
		return nil, n, err
	}
	body, err := c.body(r)
	if err != nil {
		return nil, n, err
	}
	switch number {
	case sumNumber:
		cmd, err = c.sum(body)
	case traceNumber:
		cmd, err = c.trace(body)
	default:
		err = errBody
	}
	return cmd, n, err
}

// --- JSON, msgpack ------------------------------------------------------------------------------

func readJSON[V any](r io.Reader) (value V, err error) {
	return value, json.NewDecoder(r).Decode(&value)
}

func appendMsgpack(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := msgpack.NewEncoder(&out)
	encoder.UseArrayEncodedStructs(true)
	err := encoder.Encode(value)
	return out.Bytes(), err
}

func readMsgpack[V any](r io.Reader) (value V, err error) {
	return value, msgpack.NewDecoder(r).Decode(&value)
}

// --- MUS ----------------------------------------------------------------------------------------

var carrierMUS = ord.NewPtrSer[map[string]string](ord.NewMapSer[string, string](ord.String, ord.String))

func appendMUS(value any) ([]byte, error) {
	var out bytes.Buffer
	var err error
	two := func(v sumCmd) {
		_, _ = varint.Int64.Marshal(v.A, &out)
		_, _ = varint.Int64.Marshal(v.B, &out)
	}
	switch v := value.(type) {
	case sumCmd:
		two(v)
	case traceCmd:
		_, err = carrierMUS.Marshal(v.MapCarrier, &out)
		two(v.Cmd)
	case total:
		_, err = varint.Int64.Marshal(v.Value, &out)
	case oops:
		_, _ = varint.Int64.Marshal(v.Code, &out)
		_, err = ord.String.Marshal(v.Text, &out)
	}
	return out.Bytes(), err
}

func readSumMUS(r io.Reader) (v sumCmd, err error) {
	if v.A, _, err = varint.Int64.Unmarshal(r.(mus.Reader)); err == nil {
		v.B, _, err = varint.Int64.Unmarshal(r.(mus.Reader))
	}
	return
}

func readTraceMUS(r io.Reader) (v traceCmd, err error) {
	if v.MapCarrier, _, err = carrierMUS.Unmarshal(r.(mus.Reader)); err == nil {
		v.Cmd, err = readSumMUS(r)
	}
	return
}

func readTotalMUS(r io.Reader) (v total, err error) {
	v.Value, _, err = varint.Int64.Unmarshal(r.(mus.Reader))
	return
}

func readOopsMUS(r io.Reader) (v oops, err error) {
	if v.Code, _, err = varint.Int64.Unmarshal(r.(mus.Reader)); err == nil {
		v.Text, _, err = ord.String.Unmarshal(r.(mus.Reader))
	}
	return
}

// --- Protobuf: message { map<string, string> carrier = 1; Sum command = 2; } -----------------------

func appendProtobuf(value any) (out []byte, err error) {
	number := func(field protowire.Number, v int64) {
		if v != 0 {
			out = protowire.AppendVarint(protowire.AppendTag(out, field, protowire.VarintType), uint64(v))
		}
	}
	switch v := value.(type) {
	case sumCmd:
		number(1, v.A)
		number(2, v.B)
	case traceCmd:
		if v.MapCarrier != nil {
			for key, text := range *v.MapCarrier {
				pair := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), key)
				pair = protowire.AppendString(protowire.AppendTag(pair, 2, protowire.BytesType), text)
				out = protowire.AppendBytes(protowire.AppendTag(out, 1, protowire.BytesType), pair)
			}
		}
		inner, _ := appendProtobuf(v.Cmd)
		out = protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), inner)
	case total:
		number(1, v.Value)
	case oops:
		number(1, v.Code)
		out = protowire.AppendString(protowire.AppendTag(out, 2, protowire.BytesType), v.Text)
	}
	return
}

// fields calls `take` with each field of a message.
func fields(body []byte, take func(field protowire.Number, number int64, text []byte) error) error {
	for len(body) > 0 {
		field, kind, n := protowire.ConsumeTag(body)
		if n < 0 {
			return protowire.ParseError(n)
		}
		body = body[n:]
		var number uint64
		var text []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(body)
		case protowire.BytesType:
			text, n = protowire.ConsumeBytes(body)
		default:
			return errBody
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		body = body[n:]
		if err := take(field, int64(number), text); err != nil {
			return err
		}
	}
	return nil
}

func readSumProtobuf(r io.Reader) (v sumCmd, err error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return
	}
	return sumOf(body)
}

func sumOf(body []byte) (v sumCmd, err error) {
	err = fields(body, func(field protowire.Number, number int64, _ []byte) error {
		switch field {
		case 1:
			v.A = number
		case 2:
			v.B = number
		}
		return nil
	})
	return
}

func readTraceProtobuf(r io.Reader) (v traceCmd, err error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return
	}
	carrier := map[string]string{}
	err = fields(body, func(field protowire.Number, _ int64, text []byte) (err error) {
		switch field {
		case 1:
			var pair [2]string
			err = fields(text, func(field protowire.Number, _ int64, text []byte) error {
				if field == 1 || field == 2 {
					pair[field-1] = string(text)
				}
				return nil
			})
			carrier[pair[0]] = pair[1]
		case 2:
			v.Cmd, err = sumOf(text)
		}
		return
	})
	v.MapCarrier = &carrier
	return
}

func readOopsProtobuf(r io.Reader) (v oops, err error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return
	}
	err = fields(body, func(field protowire.Number, number int64, text []byte) error {
		switch field {
		case 1:
			v.Code = number
		case 2:
			v.Text = string(text)
		}
		return nil
	})
	return
}

func readTotalProtobuf(r io.Reader) (v total, err error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return
	}
	sum, err := sumOf(body)
	return total{sum.A}, err
}
