// SPDX-License-Identifier: MIT

package load

import (
	"flag"
	"io"
	"strings"
	"testing"
)

func parsed(line string) (*Options, error) {
	var o Options
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	o.Define(set, "echo", "stream", "sleep")
	if err := set.Parse(strings.Fields(line)); err != nil {
		return nil, err
	}
	return &o, o.Check(set)
}

func TestOptionsThatCount(t *testing.T) {
	for _, line := range []string{"", "--rate 5 --duration 1", "--command stream --stream-count 0 --stream-size 5",
		"--burst 9 --command sleep --sleep-ms 3 --string-size 0", "--connect 127.0.0.1:1 --server-pid 5 --warmup 0"} {
		if _, err := parsed(line); err != nil {
			t.Error(line, err)
		}
	}
	if o, err := parsed("--rate 5"); err != nil || o.InFlight != 1024 || o.mode() != "open" {
		t.Error(o, err)
	}
	if o, err := parsed("--string-size 7"); err != nil || o.InFlight != 128 || o.stringMin != 7 || o.stringMax != 7 {
		t.Error(o, err)
	}
}

// An option that would be ignored is refused, and the message names it.
func TestOptionsThatDoNotCount(t *testing.T) {
	for line, word := range map[string]string{
		"--burst 9 --duration 1": "--duration", "--burst 9 --in-flight 4": "--in-flight", "--server-pid 5": "--server-pid",
		"--stream-size 5": "--stream-size", "--sleep-ms 5": "--sleep-ms", "--work-us 5": "work-us",
		"--command stream --string-size 5": "--string-size", "--command work": "--command", "--conns 0": "--conns",
		"--burst 9 --rate 4": "--rate", "--string-size x": "--string-size", "--codec json": "codec", "echo": "echo"} {
		if _, err := parsed(line); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
