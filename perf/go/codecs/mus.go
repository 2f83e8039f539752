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

// Serializers as mus-gen writes them for these structs by default: fields in their order, integers as zigzag varints,
// floats raw. There is no length on the wire, so nothing can be skipped.
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

// musWriter and musReader keep the count and the first error, so that a struct is a line.
type musWriter struct {
	w   mus.Writer
	n   int
	err error
}

func put[V any](w *musWriter, serializer mus.Serializer[V], value V) {
	if w.err != nil {
		return
	}
	var n int
	n, w.err = serializer.Marshal(value, w.w)
	w.n += n
}

type musReader struct {
	r   mus.Reader
	n   int
	err error
}

func get[V any](r *musReader, serializer mus.Serializer[V], value *V) {
	if r.err != nil {
		return
	}
	var n int
	*value, n, r.err = serializer.Unmarshal(r.r)
	r.n += n
}

func putEcho(w *musWriter, b bool, i int64, s string, f float64) {
	put(w, ord.Bool, b)
	put(w, varint.Int64, i)
	put(w, ord.String, s)
	put(w, raw.Float64, f)
}

func getEcho(r *musReader, b *bool, i *int64, s *string, f *float64) {
	get(r, ord.Bool, b)
	get(r, varint.Int64, i)
	get(r, musString, s)
	get(r, raw.Float64, f)
}

func (musClient) Encode(cmd core.Cmd[*testproto.Receiver], to writer) (int, error) {
	number, err := commandNumber(cmd)
	if err != nil {
		return 0, err
	}
	w := musWriter{w: to}
	put(&w, varint.PositiveInt, number)
	switch c := cmd.(type) {
	case testproto.EchoCmd:
		putEcho(&w, c.Bool, c.Int64, c.String, c.Float64)
	case testproto.StreamCmd:
		put(&w, varint.Int64, c.Count)
		put(&w, varint.Int64, c.Size)
	case testproto.SleepCmd:
		put(&w, varint.Int64, c.Ms)
		putEcho(&w, c.Bool, c.Int64, c.String, c.Float64)
	case testproto.WorkCmd:
		put(&w, varint.Int64, c.Us)
	}
	return w.n, w.err
}

func (musServer) Decode(from reader) (core.Cmd[*testproto.Receiver], int, error) {
	r := musReader{r: from}
	var number int
	get(&r, varint.PositiveInt, &number)
	if r.err != nil {
		return nil, r.n, r.err
	}
	var cmd core.Cmd[*testproto.Receiver]
	switch number {
	case 0:
		var c testproto.EchoCmd
		getEcho(&r, &c.Bool, &c.Int64, &c.String, &c.Float64)
		cmd = c
	case 1:
		var c testproto.StreamCmd
		get(&r, varint.Int64, &c.Count)
		get(&r, varint.Int64, &c.Size)
		cmd = c
	case 2:
		var c testproto.SleepCmd
		get(&r, varint.Int64, &c.Ms)
		getEcho(&r, &c.Bool, &c.Int64, &c.String, &c.Float64)
		cmd = c
	case 3:
		cmd = testproto.FailCmd{}
	case 4:
		var c testproto.WorkCmd
		get(&r, varint.Int64, &c.Us)
		cmd = c
	default:
		return nil, r.n, fmt.Errorf("%w: number %d", errUnknownType, number)
	}
	return cmd, r.n, noEOF(r.err)
}

func (musServer) Encode(result core.Result, to writer) (int, error) {
	number, err := resultNumber(result)
	if err != nil {
		return 0, err
	}
	w := musWriter{w: to}
	put(&w, varint.PositiveInt, number)
	switch r := result.(type) {
	case testproto.EchoResult:
		putEcho(&w, r.Bool, r.Int64, r.String, r.Float64)
	case testproto.ItemResult:
		put(&w, varint.Int64, r.Index)
		put(&w, ord.Bool, r.Last)
		put(&w, ord.String, r.Data)
	}
	return w.n, w.err
}

func (musClient) Decode(from reader) (core.Result, int, error) {
	r := musReader{r: from}
	var number int
	get(&r, varint.PositiveInt, &number)
	if r.err != nil {
		return nil, r.n, r.err
	}
	var result core.Result
	switch number {
	case 0:
		var one testproto.EchoResult
		getEcho(&r, &one.Bool, &one.Int64, &one.String, &one.Float64)
		result = one
	case 1:
		var one testproto.ItemResult
		get(&r, varint.Int64, &one.Index)
		get(&r, ord.Bool, &one.Last)
		get(&r, musString, &one.Data)
		result = one
	default:
		return nil, r.n, fmt.Errorf("%w: number %d", errUnknownType, number)
	}
	return result, r.n, noEOF(r.err)
}
