// SPDX-License-Identifier: MIT

// Package msgpack is a MessagePack codec for cmd-stream-go, and what the C library `cmdstream` speaks by default.
//
// A body on the wire is the type's number, the length and the value: varint, varint, bytes. The number of a type is its
// place in the list that it stands in, from 0; client and server must be given the same lists. A struct is written as an
// array of its fields in their order, integers as short as they go, or with WithMaps as a map keyed by field name, as
// vmihailenco/msgpack does by itself. Both forms are read, whatever is written. In the array form of a command or result,
// missing trailing fields read as zero and extra elements are skipped, so a peer may add fields at the end.
//
// A peer is not believed: a value takes no more bytes than WithMaxLen allows, nests no deeper than DepthMax, and each
// length in it is backed by bytes before it is decoded. A slice still takes a zero value in memory for each element, of
// which a byte on the wire is enough: bound the length where elements are large.
//
// The module is not served by a proxy: a program that uses it names its folder in a `replace` line of its go.mod, as the
// README beside this file shows.
package msgpack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"

	"github.com/cmd-stream/cmd-stream-go/core"
	tspt "github.com/cmd-stream/cmd-stream-go/transport"
	"github.com/mus-format/mus-stream-go/varint"
	"github.com/vmihailenco/msgpack/v5"
)

// MaxLenDefault is the longest value that is read or written unless WithMaxLen says otherwise: 16 MiB.
const MaxLenDefault = 16 << 20

// Errors of the codec. Those of reading close the connection, as every error of a codec does.
var (
	ErrTooLarge    = errors.New("msgpack codec: the value is longer than the limit")
	ErrUnknownType = errors.New("msgpack codec: no such type in the list")
	ErrTrailing    = errors.New("msgpack codec: bytes after the value")
)

// Option changes how a codec writes and what it accepts.
type Option func(o *options)

type options struct {
	maps   bool
	maxLen int
}

// WithMaps writes structs as maps keyed by field name.
func WithMaps() Option { return func(o *options) { o.maps = true } }

// WithMaxLen bounds the length of one value, written or read. 0 or less: no bound.
func WithMaxLen(n int) Option { return func(o *options) { o.maxLen = n } }

// ClientCodec writes commands and reads results.
type ClientCodec[T any] struct {
	commands, results types
}

// ServerCodec writes results and reads commands.
type ServerCodec[T any] struct {
	commands, results types
}

// NewClientCodec makes a codec for these commands and results; structs, or pointers to them.
func NewClientCodec[T any](commands []core.Cmd[T], results []core.Result, opts ...Option) (ClientCodec[T], error) {
	c, r, err := newTypes(commands, results, opts)
	return ClientCodec[T]{c, r}, err
}

// NewServerCodec makes a codec for these commands and results; structs, or pointers to them.
func NewServerCodec[T any](commands []core.Cmd[T], results []core.Result, opts ...Option) (ServerCodec[T], error) {
	c, r, err := newTypes(commands, results, opts)
	return ServerCodec[T]{c, r}, err
}

// Encode writes one command.
func (c ClientCodec[T]) Encode(cmd core.Cmd[T], w tspt.Writer) (int, error) {
	return c.commands.encode(cmd, w)
}

// Decode reads one result.
func (c ClientCodec[T]) Decode(r tspt.Reader) (result core.Result, n int, err error) {
	value, n, err := c.results.decode(r)
	if err == nil {
		result = value.(core.Result)
	}
	return
}

// Encode writes one result.
func (c ServerCodec[T]) Encode(result core.Result, w tspt.Writer) (int, error) {
	return c.results.encode(result, w)
}

// Decode reads one command.
func (c ServerCodec[T]) Decode(r tspt.Reader) (cmd core.Cmd[T], n int, err error) {
	value, n, err := c.commands.decode(r)
	if err == nil {
		cmd = value.(core.Cmd[T])
	}
	return
}

// types is one of the two lists. It is constant once made, so any number of connections share it.
type types struct {
	options options
	numbers map[reflect.Type]int
	list    []listed
}

type listed struct {
	structure reflect.Type // What is read into.
	pointer   bool         // The list has *structure.
	fields    int          // Elements of its array form; negative: it is not an array.
}

func newTypes[T any](commands []core.Cmd[T], results []core.Result, opts []Option) (c, r types, err error) {
	o := options{maxLen: MaxLenDefault}
	for _, set := range opts {
		set(&o)
	}
	c, r = types{options: o, numbers: map[reflect.Type]int{}}, types{options: o, numbers: map[reflect.Type]int{}}
	for _, command := range commands {
		err = errors.Join(err, c.add(reflect.TypeOf(command)))
	}
	for _, result := range results {
		err = errors.Join(err, r.add(reflect.TypeOf(result)))
	}
	return
}

func (t *types) add(of reflect.Type) error {
	if of == nil {
		return errors.New("msgpack codec: nil in a list of types")
	}
	if _, twice := t.numbers[of]; twice {
		return fmt.Errorf("msgpack codec: %v stands twice in a list", of)
	}
	one := listed{structure: of, fields: -1}
	if of.Kind() == reflect.Pointer {
		one.structure, one.pointer = of.Elem(), true
	}
	var zero bytes.Buffer
	encoder := msgpack.NewEncoder(&zero)
	encoder.UseArrayEncodedStructs(true)
	if err := encoder.Encode(reflect.New(one.structure).Interface()); err != nil {
		return fmt.Errorf("msgpack codec: %v: %w", of, err)
	}
	if count, _, ok := arrayHead(zero.Bytes()); ok {
		one.fields = count
	}
	t.numbers[of] = len(t.list)
	t.list = append(t.list, one)
	return nil
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const bufferKeepMax = 64 << 10 // A larger one is left to the collector.

func putBuffer(buffer *bytes.Buffer) {
	if buffer.Cap() <= bufferKeepMax {
		buffer.Reset()
		buffers.Put(buffer)
	}
}

func (t *types) encode(value any, w tspt.Writer) (n int, err error) {
	number, ok := t.numbers[reflect.TypeOf(value)]
	if !ok {
		return 0, fmt.Errorf("%w: %T", ErrUnknownType, value)
	}
	buffer := buffers.Get().(*bytes.Buffer)
	defer putBuffer(buffer)
	encoder := msgpack.GetEncoder()
	encoder.Reset(buffer)
	encoder.UseArrayEncodedStructs(!t.options.maps)
	encoder.UseCompactInts(!t.options.maps)
	err = encoder.Encode(value)
	msgpack.PutEncoder(encoder)
	if err != nil {
		return 0, err
	}
	if t.options.maxLen > 0 && buffer.Len() > t.options.maxLen {
		return 0, ErrTooLarge // Before the first byte, so that the connection stays in order.
	}
	if n, err = varint.PositiveInt.Marshal(number, w); err != nil {
		return
	}
	n1, err := varint.PositiveInt.Marshal(buffer.Len(), w)
	n += n1
	if err != nil {
		return
	}
	n1, err = w.Write(buffer.Bytes())
	return n + n1, err
}

func (t *types) decode(r tspt.Reader) (value any, n int, err error) {
	number, n, err := varint.PositiveInt.Unmarshal(r)
	if err != nil {
		return nil, n, err
	}
	if number < 0 || number >= len(t.list) {
		return nil, n, fmt.Errorf("%w: number %d", ErrUnknownType, number)
	}
	length, n1, err := varint.PositiveInt.Unmarshal(r)
	n += n1
	if err != nil {
		return nil, n, err
	}
	if length < 0 || (t.options.maxLen > 0 && length > t.options.maxLen) {
		return nil, n, ErrTooLarge
	}
	buffer := buffers.Get().(*bytes.Buffer)
	defer putBuffer(buffer)
	// Grows as the bytes come: a length alone reserves no memory.
	copied, err := io.CopyN(buffer, r, int64(length))
	n += int(copied)
	if err != nil {
		return nil, n, noEOF(err)
	}
	value, err = t.list[number].read(buffer.Bytes())
	return value, n, err
}

// The end of the connection within a value is not an orderly end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A decoder and what it reads from, for one body after the other.
type decoder struct {
	*msgpack.Decoder
	body bytes.Reader
}

var decoders = sync.Pool{New: func() any { return &decoder{Decoder: msgpack.NewDecoder(nil)} }}

func (l listed) read(body []byte) (any, error) {
	size, err := valueSize(body)
	if err != nil {
		return nil, err
	}
	if size < len(body) {
		return nil, ErrTrailing
	}
	into := reflect.New(l.structure)
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	d.body.Reset(l.fit(body))
	d.Reset(&d.body)
	if err = d.Decode(into.Interface()); err != nil {
		return nil, noEOF(err)
	}
	if l.pointer {
		return into.Interface(), nil
	}
	return into.Elem().Interface(), nil
}

// The decoder below wants exactly as many elements as there are fields. Where there are fewer, nil stands for each
// missing one; where there are more, the head says fewer, and what is left after the value is not looked at.
func (l listed) fit(body []byte) []byte {
	count, head, ok := arrayHead(body)
	if !ok || l.fields < 0 || count == l.fields || count == 0 {
		return body
	}
	fitted := make([]byte, 0, len(body)+5+l.fields)
	fitted = append(fitted, 0xdd, byte(l.fields>>24), byte(l.fields>>16), byte(l.fields>>8), byte(l.fields))
	fitted = append(fitted, body[head:]...)
	for ; count < l.fields; count++ {
		fitted = append(fitted, 0xc0)
	}
	return fitted
}

// arrayHead tells how many elements the array at the front of body has, and how long its head is.
func arrayHead(body []byte) (count, head int, ok bool) {
	switch {
	case len(body) >= 1 && body[0]&0xf0 == 0x90:
		return int(body[0] & 0x0f), 1, true
	case len(body) >= 3 && body[0] == 0xdc:
		return int(body[1])<<8 | int(body[2]), 3, true
	case len(body) >= 5 && body[0] == 0xdd:
		return int(body[1])<<24 | int(body[2])<<16 | int(body[3])<<8 | int(body[4]), 5, true
	}
	return 0, 0, false
}
