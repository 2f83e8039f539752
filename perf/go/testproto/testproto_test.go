// SPDX-License-Identifier: MIT

package testproto

import (
	"testing"
	"time"
)

func TestPattern(t *testing.T) {
	if Pattern(28) != "abcdefghijklmnopqrstuvwxyzab" || Pattern(0) != "" {
		t.Error(Pattern(28))
	}
}

func TestItemsGrowOnDemand(t *testing.T) {
	items := Items{SizeMax: 100000}
	for _, size := range []int64{0, 1, 4096, 4097, 5, 100000, 65536} {
		if data, err := items.Data(size); err != nil || data != Pattern(int(size)) {
			t.Error(size, len(data), err)
		}
	}
	for _, size := range []int64{-1, 100001} {
		if _, err := items.Data(size); err == nil {
			t.Error("taken:", size)
		}
	}
}

func TestBurnTakesCPUTime(t *testing.T) {
	before := time.Now()
	burn(2 * time.Millisecond)
	if time.Since(before) < 2*time.Millisecond {
		t.Error("too short")
	}
}
