// SPDX-License-Identifier: MIT

package load

import (
	"testing"
	"time"
)

func TestTimerIsNotEarly(t *testing.T) {
	timer, err := newTimer()
	if err != nil {
		t.Fatal(err)
	}
	defer timer.close()
	for _, span := range []time.Duration{-time.Second, 0, time.Nanosecond, 200 * time.Microsecond, 20 * time.Millisecond} {
		began := time.Now()
		if err := timer.sleep(span); err != nil || time.Since(began) < span {
			t.Error(span, time.Since(began), err)
		}
	}
}
