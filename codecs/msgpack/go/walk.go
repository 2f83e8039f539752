// SPDX-License-Identifier: MIT

package msgpack

import (
	"errors"
	"fmt"
	"io"
)

// DepthMax is how many arrays and maps may stand inside each other in a value that is read, as in the C library.
const DepthMax = 32

// ErrTooDeep says that a value nests deeper than DepthMax.
var ErrTooDeep = errors.New("msgpack codec: the value nests too deep")

// What the length in the head of an item counts.
const (
	countsNothing = iota // There is none.
	countsBytes
	countsItems
	countsPairs
	invalid
)

// A layout tells an item by its first byte: `fixed` bytes whatever is in it, that one among them, of which `width` are
// a length.
type layout struct{ fixed, width, counts uint8 }

// Of the first bytes 0xc0 to 0xdf.
var layouts = [32]layout{
	{1, 0, countsNothing}, {0, 0, invalid}, {1, 0, countsNothing}, {1, 0, countsNothing}, // nil, -, false, true
	{2, 1, countsBytes}, {3, 2, countsBytes}, {5, 4, countsBytes}, // bin
	{3, 1, countsBytes}, {4, 2, countsBytes}, {6, 4, countsBytes}, // ext, with the byte of its type
	{5, 0, countsNothing}, {9, 0, countsNothing}, // float
	{2, 0, countsNothing}, {3, 0, countsNothing}, {5, 0, countsNothing}, {9, 0, countsNothing}, // uint
	{2, 0, countsNothing}, {3, 0, countsNothing}, {5, 0, countsNothing}, {9, 0, countsNothing}, // int
	{3, 0, countsNothing}, {4, 0, countsNothing}, {6, 0, countsNothing}, // fixext
	{10, 0, countsNothing}, {18, 0, countsNothing},
	{2, 1, countsBytes}, {3, 2, countsBytes}, {5, 4, countsBytes}, // str
	{3, 2, countsItems}, {5, 4, countsItems}, // array
	{3, 2, countsPairs}, {5, 4, countsPairs}, // map
}

// valueSize tells how many bytes the value at the front of body has.
//
// The decoder below recurses into what it reads and into what it skips, and allocates what a length announces: a body of
// nothing but array heads would overflow the stack, which no recover stops. So each body is walked before it is decoded,
// without recursion: it nests DepthMax deep at most, and every length in it is backed by bytes.
func valueSize(body []byte) (int, error) {
	var left [DepthMax]uint64 // Items still to come in each open array or map.
	depth, at := 0, 0
	for {
		size, items, container, err := item(body[at:])
		if err != nil {
			return 0, err
		}
		at += size
		if container && depth == DepthMax {
			return 0, ErrTooDeep
		}
		if items > 0 {
			left[depth] = items
			depth++
			continue
		}
		for depth > 0 {
			if left[depth-1]--; left[depth-1] > 0 {
				break
			}
			depth--
		}
		if depth == 0 {
			return at, nil
		}
	}
}

// item measures one item: its bytes without those of the items in it, and how many those are.
func item(rest []byte) (size int, items uint64, container bool, err error) {
	if len(rest) == 0 {
		return 0, 0, false, io.ErrUnexpectedEOF
	}
	switch first := rest[0]; {
	case first < 0x80 || first >= 0xe0: // A small integer.
		return 1, 0, false, nil
	case first < 0x90:
		items, container, size = 2*uint64(first&0x0f), true, 1
	case first < 0xa0:
		items, container, size = uint64(first&0x0f), true, 1
	case first < 0xc0:
		size = 1 + int(first&0x1f)
	default:
		if size, items, container, err = layouts[first-0xc0].measure(rest); err != nil {
			return
		}
	}
	if size > len(rest) {
		err = io.ErrUnexpectedEOF
	}
	return
}

func (l layout) measure(rest []byte) (size int, items uint64, container bool, err error) {
	if l.counts == invalid {
		return 0, 0, false, fmt.Errorf("msgpack codec: 0x%x begins no value", rest[0])
	}
	if int(l.fixed) > len(rest) {
		return 0, 0, false, io.ErrUnexpectedEOF
	}
	length := uint64(0)
	for _, digit := range rest[1 : 1+l.width] {
		length = length<<8 | uint64(digit)
	}
	size = int(l.fixed)
	switch l.counts {
	case countsBytes:
		if length > uint64(len(rest)) {
			return 0, 0, false, io.ErrUnexpectedEOF
		}
		size += int(length)
	case countsItems:
		items, container = length, true
	case countsPairs:
		items, container = 2*length, true
	}
	return
}
