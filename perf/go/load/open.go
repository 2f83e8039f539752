// SPDX-License-Identifier: MIT

package load

import (
	"sync"
	"time"
)

// --- Open loop: so many commands a second, however fast the answers come --------------------------

// A schedule says when commands are due, and which lanes are free to send them: the one that was free last first, so that
// a few warm ones do the work. As in the C tool, a lane that is done and finds a command due sends it itself.
type schedule struct {
	mutex    sync.Mutex
	start    time.Time
	end      time.Time
	interval float64 // Nanoseconds.
	count    uint64  // Commands that were begun.
	free     []*lane
	freed    chan struct{} // To wake the pacing goroutine that waits for a free lane.
}

func newSchedule(r *run, lanes []*lane) *schedule {
	s := &schedule{start: r.start, end: r.end, interval: float64(time.Second) / r.options.Rate, freed: make(chan struct{}, 1)}
	for i := range lanes {
		s.free = append(s.free, lanes[len(lanes)-1-i])
	}
	return s
}

func (s *schedule) due() time.Time { return s.start.Add(time.Duration(float64(s.count) * s.interval)) }

func (s *schedule) isDue(now time.Time) bool {
	due := s.due()
	return due.Before(s.end) && !due.After(now)
}

// takeFree begins all that is due and for which there is a lane. It returns when the next command is due.
func (s *schedule) takeFree(now time.Time, begin func(*lane, time.Time)) (due time.Time, blocked bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for s.isDue(now) {
		if len(s.free) == 0 {
			return s.due(), true
		}
		last := len(s.free) - 1
		begin(s.free[last], s.due())
		s.free = s.free[:last]
		s.count++
	}
	return s.due(), false
}

// next is for a lane that is done: what is due now, or else it is free.
func (s *schedule) next(l *lane, now time.Time) (due time.Time, more bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.isDue(now) {
		due = s.due()
		s.count++
		return due, true
	}
	s.free = append(s.free, l)
	select {
	case s.freed <- struct{}{}:
	default:
	}
	return due, false
}

// unsent tells each command that was due and never begun.
func (s *schedule) unsent(tell func(due time.Time)) (count uint64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for due := s.due(); due.Before(s.end); due = s.due() {
		tell(due)
		s.count++
		count++
	}
	return
}

func (r *run) driveOpen() error {
	pacer, err := newTimer()
	if err != nil {
		return err
	}
	defer pacer.close()
	var wait sync.WaitGroup
	lanes := r.lanes()
	r.setTimes()
	r.schedule = newSchedule(r, lanes)
	launch(&wait, func() { r.pace(pacer, &wait) })
	err = r.watch(&wait)
	now := time.Now()
	r.unsent = r.schedule.unsent(func(due time.Time) {
		if r.measures(due) {
			r.shards[0].histogram.record(now.Sub(due)) // It has waited so long at least.
		}
	})
	return err
}

// pace begins commands when they are due, each on a goroutine of its own.
func (r *run) pace(pacer timer, wait *sync.WaitGroup) {
	begin := func(l *lane, due time.Time) { launch(wait, func() { l.open(due) }) }
	for now := r.start; now.Before(r.end) && !r.wornOut(); now = time.Now() {
		due, blocked := r.schedule.takeFree(now, begin)
		if blocked {
			r.awaitFree()
			continue
		}
		if !due.Before(r.end) {
			return
		}
		if err := pacer.sleep(time.Until(due)); err != nil {
			r.fail(err)
			return
		}
	}
}

func (r *run) awaitFree() {
	select {
	case <-r.schedule.freed:
	case <-time.After(time.Until(r.end)):
	}
}

// open sends what was due at `due`, and what is due when that is over.
func (l *lane) open(due time.Time) {
	for more := true; more; {
		err := l.call()
		now := time.Now()
		if !l.ended(due, now, err) || now.After(l.run.giveUp) {
			return
		}
		due, more = l.run.schedule.next(l, now)
	}
}
