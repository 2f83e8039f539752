// SPDX-License-Identifier: MIT

package load

import (
	"math"
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	for value := uint64(1); value < 1<<62; value = value*3/2 + 1 {
		middle := middleOf(bucketOf(value))
		if off := max(middle, value) - min(middle, value); off > value/256+1 || bucketOf(middle) != bucketOf(value) {
			t.Errorf("%d is in a bucket around %d", value, middle)
		}
	}
	if bucketOf(math.MaxUint64) != histogramBuckets-1 {
		t.Error(bucketOf(math.MaxUint64))
	}
	for value := uint64(0); value < 1<<16; value++ {
		if step := bucketOf(value+1) - bucketOf(value); step != 0 && step != 1 {
			t.Errorf("the bucket after %d's is %d further", value, step)
		}
	}
}

// What the C tool's histogram says of the same values.
func TestQuantiles(t *testing.T) {
	var one, two, none histogram
	for value := time.Duration(1); value <= 100; value++ {
		if value&1 == 0 {
			one.record(value)
		} else {
			two.record(value)
		}
	}
	one.merge(&two)
	for q, want := range map[float64]uint64{0: 1, 0.001: 1, 0.5: 50, 0.501: 51, 0.9: 90, 0.99: 99, 0.999: 100, 1: 100} {
		if got := one.quantile(q); got != want {
			t.Errorf("%g: %d in place of %d", q, got, want)
		}
	}
	if one.max.Load() != 100 || ^one.min.Load() != 1 || one.sum.Load() != 5050 || none.quantile(0.5) != 0 {
		t.Error(one.max.Load(), ^one.min.Load(), one.sum.Load(), none.quantile(0.5))
	}
	var wide histogram // Of 1000 to 1003 the middle is 1002; the greatest that was seen is less.
	wide.record(1001)
	wide.record(5000)
	if wide.quantile(0.5) != 1002 || wide.quantile(1) != 5000 {
		t.Error(wide.quantile(0.5), wide.quantile(1))
	}
}
