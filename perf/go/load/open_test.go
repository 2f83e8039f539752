// SPDX-License-Identifier: MIT

package load

import (
	"testing"
	"time"
)

func testSchedule(lanes int) (*schedule, []*lane) {
	r := &run{options: &Options{Rate: 1000}, start: time.Unix(0, 0), end: time.Unix(0, 0).Add(10 * time.Millisecond)}
	all := make([]*lane, lanes)
	for i := range all {
		all[i] = new(lane)
	}
	return newSchedule(r, all), all
}

func TestScheduleBeginsWhatIsDue(t *testing.T) {
	s, lanes := testSchedule(8)
	var begun []*lane
	begin := func(l *lane, due time.Time) {
		if want := s.start.Add(time.Duration(len(begun)) * time.Millisecond); due != want {
			t.Error(due, want)
		}
		begun = append(begun, l)
	}

	due, blocked := s.takeFree(s.start.Add(2500*time.Microsecond), begin)

	if blocked || due != s.start.Add(3*time.Millisecond) || len(begun) != 3 || begun[0] != lanes[0] || begun[2] != lanes[2] {
		t.Error(due, blocked, len(begun))
	}
}

func TestScheduleTakesTheLastFreeFirst(t *testing.T) {
	s, lanes := testSchedule(8)
	s.takeFree(s.start, func(*lane, time.Time) {})
	s.takeFree(s.start.Add(time.Millisecond), func(*lane, time.Time) {})
	for _, l := range lanes[:2] {
		if _, more := s.next(l, s.start.Add(time.Millisecond)); more {
			t.Error("nothing is due")
		}
	}

	s.takeFree(s.start.Add(2*time.Millisecond), func(l *lane, _ time.Time) {
		if l != lanes[1] {
			t.Error("another was free later")
		}
	})
}

func TestScheduleWithoutFreeLanes(t *testing.T) {
	s, lanes := testSchedule(2)
	late := s.start.Add(5 * time.Millisecond)
	due, blocked := s.takeFree(late, func(*lane, time.Time) {})
	if !blocked || due != s.start.Add(2*time.Millisecond) {
		t.Error(due, blocked)
	}

	due, more := s.next(lanes[0], late)

	if !more || due != s.start.Add(2*time.Millisecond) {
		t.Error(due, more)
	}
	var waited []time.Time
	if count := s.unsent(func(due time.Time) { waited = append(waited, due) }); count != 7 || len(waited) != 7 ||
		waited[0] != s.start.Add(3*time.Millisecond) {
		t.Error(count, waited)
	}
	if _, more = s.next(lanes[0], late.Add(time.Hour)); more {
		t.Error("all was handed out")
	}
}
