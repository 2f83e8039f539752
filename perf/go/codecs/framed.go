// SPDX-License-Identifier: MIT

package codecs

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"sync"

	"github.com/cmd-stream/cmd-stream-go/core"
	"github.com/mus-format/mus-stream-go/varint"
)

// A format is what stands in a body, behind the type's number and a length: JSON or Protobuf.
type format struct {
	// append writes a command or a result behind what is in `out`.
	append            func(out []byte, value any) ([]byte, error)
	commands, results types
}

// types is a list: the place of one in it is its number on the wire.
type types []listed

type listed struct {
	of   reflect.Type
	read func(body []byte) (any, error)
}

// A handful, so looking through them is quicker than a map.
func (t types) number(value any) (int, error) {
	of := reflect.TypeOf(value)
	for number := range t {
		if t[number].of == of {
			return number, nil
		}
	}
	return 0, fmt.Errorf("%w: %T", errUnknownType, value)
}

type framedClient[T any] struct{ *format }

type framedServer[T any] struct{ *format }

func (c framedClient[T]) Encode(cmd core.Cmd[T], w writer) (int, error) {
	return c.write(c.commands, cmd, w)
}

func (c framedServer[T]) Encode(result core.Result, w writer) (int, error) {
	return c.write(c.results, result, w)
}

func (c framedClient[T]) Decode(r reader) (result core.Result, n int, err error) {
	value, n, err := c.results.read(r)
	if err == nil {
		result = value.(core.Result)
	}
	return
}

func (c framedServer[T]) Decode(r reader) (cmd core.Cmd[T], n int, err error) {
	value, n, err := c.commands.read(r)
	if err == nil {
		cmd = value.(core.Cmd[T])
	}
	return
}

type scratch struct{ bytes []byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

const scratchKeepMax = 64 << 10

func putScratch(s *scratch) {
	if cap(s.bytes) <= scratchKeepMax {
		scratches.Put(s)
	}
}

func (f *format) write(list types, value any, w writer) (n int, err error) {
	number, err := list.number(value)
	if err != nil {
		return 0, err
	}
	s := scratches.Get().(*scratch)
	defer putScratch(s)
	if s.bytes, err = f.append(s.bytes[:0], value); err != nil {
		return
	}
	if len(s.bytes) > MaxLen {
		return 0, errTooLarge
	}
	if n, err = varint.PositiveInt.Marshal(number, w); err != nil {
		return
	}
	n1, err := varint.PositiveInt.Marshal(len(s.bytes), w)
	n += n1
	if err != nil {
		return
	}
	n1, err = w.Write(s.bytes)
	return n + n1, err
}

const readAtOnceMax = 64 << 10 // More is read as it comes: a length alone reserves no memory.

func (t types) read(r reader) (value any, n int, err error) {
	number, n, err := varint.PositiveInt.Unmarshal(r)
	if err != nil {
		return nil, n, err
	}
	if number < 0 || number >= len(t) {
		return nil, n, fmt.Errorf("%w: number %d", errUnknownType, number)
	}
	length, n1, err := varint.PositiveInt.Unmarshal(r)
	n += n1
	if err != nil {
		return nil, n, err
	}
	if length < 0 || length > MaxLen {
		return nil, n, errTooLarge
	}
	s := scratches.Get().(*scratch)
	defer putScratch(s)
	if s.bytes, err = readBody(r, s.bytes[:0], length); err != nil {
		return nil, n, err
	}
	value, err = t[number].read(s.bytes)
	return value, n + length, err
}

func readBody(r reader, into []byte, length int) ([]byte, error) {
	if length <= readAtOnceMax {
		if cap(into) < length {
			into = make([]byte, length)
		}
		into = into[:length]
		_, err := io.ReadFull(r, into)
		return into, noEOF(err)
	}
	buffer := bytes.NewBuffer(into)
	_, err := io.CopyN(buffer, r, int64(length))
	return buffer.Bytes(), noEOF(err)
}

// The end of the connection within a value is not an orderly end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
