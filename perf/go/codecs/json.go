// SPDX-License-Identifier: MIT

package codecs

import (
	"encoding/json"

	"cmdstream/perf/go/testproto"

	"github.com/cmd-stream/cmd-stream-go/core"
)

type jsonFormat struct{}

func (jsonFormat) append(out []byte, value any) ([]byte, error) {
	body, err := json.Marshal(value)
	return append(out, body...), err
}

func (jsonFormat) command(number int, body []byte) (core.Cmd[*testproto.Receiver], error) {
	switch number {
	case 0:
		return fromJSON[testproto.EchoCmd](body)
	case 1:
		return fromJSON[testproto.StreamCmd](body)
	case 2:
		return fromJSON[testproto.SleepCmd](body)
	case 3:
		return fromJSON[testproto.FailCmd](body)
	case 4:
		return fromJSON[testproto.WorkCmd](body)
	}
	return nil, errUnknownType
}

func (jsonFormat) result(number int, body []byte) (core.Result, error) {
	switch number {
	case 0:
		return fromJSON[testproto.EchoResult](body)
	case 1:
		return fromJSON[testproto.ItemResult](body)
	}
	return nil, errUnknownType
}

func fromJSON[V any](body []byte) (value V, err error) {
	err = json.Unmarshal(body, &value)
	return
}
