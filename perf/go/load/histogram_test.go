// SPDX-License-Identifier: MIT

package load

import "testing"

func TestBuckets(t *testing.T) {
	for value := uint64(1); value < 1<<62; value = value*3/2 + 1 {
		up := valueOf(bucketOf(value))
		if up < value || up-value > value/128 {
			t.Errorf("%d is in a bucket up to %d", value, up)
		}
		if next := bucketOf(up + 1); next != bucketOf(value)+1 {
			t.Errorf("the bucket after %d's is %d", value, next)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var one, two histogram
	for value := uint64(1); value <= 100; value++ {
		if value&1 == 0 {
			one.record(value)
		} else {
			two.record(value)
		}
	}
	one.merge(&two)
	if one.quantile(0.5) != 51 || one.quantile(0.99) != 100 || one.quantile(1) != 100 || ^one.min.Load() != 1 {
		t.Error(one.quantile(0.5), one.quantile(0.99), one.quantile(1), ^one.min.Load())
	}
}
