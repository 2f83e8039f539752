// SPDX-License-Identifier: MIT

package load

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram of nanoseconds: the buckets and the quantiles of the C tool, exact to 1 in 256. Lanes add to it at the same
// time.
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
	return shift<<histogramBits + int(value>>shift)
}

// The middle of a bucket: the value that is least wrong for all that fell into it.
func middleOf(bucket int) uint64 {
	if bucket < 2<<histogramBits {
		return uint64(bucket)
	}
	shift := bucket>>histogramBits - 1
	low := uint64(bucket-shift<<histogramBits) << shift
	return low + 1<<shift>>1
}

func raise(to *atomic.Uint64, value uint64) {
	for old := to.Load(); value > old && !to.CompareAndSwap(old, value); old = to.Load() {
	}
}

func (h *histogram) record(took time.Duration) {
	value := uint64(max(took, 0))
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

// quantile is the value that this share of the values does not exceed, at most the greatest seen; 0 if there are none.
func (h *histogram) quantile(q float64) uint64 {
	total := h.count.Load()
	rank := min(max(uint64(math.Ceil(q*float64(total))), 1), total)
	seen := uint64(0)
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen >= rank {
			return min(middleOf(i), h.max.Load())
		}
	}
	return h.max.Load()
}
