// SPDX-License-Identifier: MIT

package codecs

import (
	"encoding/json"
	"reflect"

	"cmdstream/perf/go/testproto"

	cln "github.com/cmd-stream/cmd-stream-go/client"
	srv "github.com/cmd-stream/cmd-stream-go/server"
)

var jsonFormat = format{
	append: appendJSON,
	commands: types{asJSON[testproto.EchoCmd](), asJSON[testproto.StreamCmd](), asJSON[testproto.SleepCmd](),
		asJSON[testproto.FailCmd](), asJSON[testproto.WorkCmd]()},
	results: types{asJSON[testproto.EchoResult](), asJSON[testproto.ItemResult]()},
}

// asJSON is a type of a list whose body is JSON.
func asJSON[V any]() listed {
	return listed{reflect.TypeFor[V](), func(body []byte) (any, error) {
		var value V
		err := json.Unmarshal(body, &value)
		return value, err
	}}
}

// Listed is a type of a protocol; its place in the list is its number on the wire.
type Listed = listed

// AsJSON is a type of a protocol of one's own.
func AsJSON[V any]() Listed { return asJSON[V]() }

// JSON makes both sides' codec of a protocol of one's own.
func JSON[R any](commands, results []Listed) (cln.Codec[R], srv.Codec[R]) {
	own := &format{append: appendJSON, commands: commands, results: results}
	return framedClient[R]{own}, framedServer[R]{own}
}

func appendJSON(out []byte, value any) ([]byte, error) {
	body, err := json.Marshal(value)
	return append(out, body...), err
}
