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

func TestBurnTakesCPUTime(t *testing.T) {
	before := time.Now()
	burn(2 * time.Millisecond)
	if time.Since(before) < 2*time.Millisecond {
		t.Error("too short")
	}
}
