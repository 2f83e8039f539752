// SPDX-License-Identifier: MIT

package load

import (
	"math/bits"
	"sync/atomic"
)

// A histogram of nanoseconds, exact to 1 in 128. Lanes add to it at the same time.
const (
	histogramBits    = 7
	histogramBuckets = (64 - histogramBits + 1) << histogramBits
)

type histogram struct {
	counts [histogramBuckets]atomic.Uint64
	count  atomic.Uint64
	sum    atomic.Uint64
	max    atomic.Uint64
	min    atomic.Uint64 // Inverted, so that 0 means none.
}

func bucketOf(value uint64) int {
	if value < 1<<histogramBits {
		return int(value)
	}
	shift := bits.Len64(value) - histogramBits - 1
	return (shift+1)<<histogramBits + int(value>>shift)&(1<<histogramBits-1)
}

// The highest value of a bucket, as the C tool reports it.
func valueOf(bucket int) uint64 {
	if bucket < 1<<histogramBits {
		return uint64(bucket)
	}
	shift := bucket>>histogramBits - 1
	low := uint64(1<<histogramBits|bucket&(1<<histogramBits-1)) << shift
	return low + 1<<shift - 1
}

func raise(to *atomic.Uint64, value uint64) {
	for old := to.Load(); value > old && !to.CompareAndSwap(old, value); old = to.Load() {
	}
}

func (h *histogram) record(value uint64) {
	h.counts[bucketOf(value)].Add(1)
	h.count.Add(1)
	h.sum.Add(value)
	raise(&h.max, value)
	raise(&h.min, ^value)
}

func (h *histogram) merge(other *histogram) {
	for i := range other.counts {
		if n := other.counts[i].Load(); n > 0 {
			h.counts[i].Add(n)
		}
	}
	h.count.Add(other.count.Load())
	h.sum.Add(other.sum.Load())
	raise(&h.max, other.max.Load())
	raise(&h.min, other.min.Load())
}

func (h *histogram) quantile(q float64) uint64 {
	total := h.count.Load()
	if total == 0 {
		return 0
	}
	rank := uint64(q * float64(total))
	if rank >= total {
		rank = total - 1
	}
	seen := uint64(0)
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen > rank {
			return min(valueOf(i), h.max.Load())
		}
	}
	return h.max.Load()
}
