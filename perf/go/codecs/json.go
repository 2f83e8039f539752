// SPDX-License-Identifier: MIT

package codecs

import (
	"encoding/json"
	"reflect"

	"cmdstream/perf/go/testproto"
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

func appendJSON(out []byte, value any) ([]byte, error) {
	body, err := json.Marshal(value)
	return append(out, body...), err
}
