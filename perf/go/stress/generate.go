// SPDX-License-Identifier: MIT

package stress

import "encoding/binary"

// Purposes of random numbers: those of src/tool/stress/generate.h.
const (
	purposeKind     = 0
	purposeSize     = 1
	purposeCount    = 2
	purposeDelay    = 3
	purposeServer   = 7
	purposeText     = 1 << 20
	purposeItemSize = 1 << 24
)

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

func random(seed, number, purpose uint64) uint64 {
	return mix(mix(mix(seed)^number) ^ purpose)
}

// share is from 0 on, below 1.
func share(random uint64) float64 {
	return float64(random>>11) / (1 << 53)
}

// Text is that of an echo (index 0), or of an item of a stream.
func Text(seed, number, index uint64, size int) string {
	key := random(seed, number, purposeText+index)
	text := make([]byte, 0, size+8)
	for k := uint64(0); len(text) < size; k++ {
		text = binary.LittleEndian.AppendUint64(text, mix(key+k)&0x3f3f3f3f3f3f3f3f+0x3030303030303030)
	}
	return string(text[:size])
}

// ItemSize is that of an item of a stream whose items have sizeMax bytes at most.
func ItemSize(seed, number, index uint64, sizeMax int64) int {
	return int(random(seed, number, purposeItemSize+index) % uint64(sizeMax+1))
}
