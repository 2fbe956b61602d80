package kafka

import (
	"errors"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go/protocol"
)

// versionsLimit bounds the answer to the first request, which may come from
// anybody. A broker's takes less than a kilobyte.
const versionsLimit = 64 << 10

// versionsRequest asks what a broker serves. It is the first that is said on a
// connection, to whatever listens there, so that no byte of the answer is trusted.
// Source of the layout: Apache Kafka protocol guide, ApiVersions v0.
type versionsRequest struct{ clientID string }

type versionsResponse struct {
	code   Code
	served []served
}

// served is a request that a broker serves, and the versions of it.
type served struct {
	key             protocol.ApiKey
	lowest, highest int16
}

func (*versionsRequest) ApiKey() protocol.ApiKey  { return protocol.ApiVersions }
func (*versionsResponse) ApiKey() protocol.ApiKey { return protocol.ApiVersions }

// Required makes kafka-go's connection call RawExchange.
func (*versionsRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange writes the request and reads the answer.
func (r *versionsRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	answer, _, err := exchangeRaw(rw, rawRequest(protocol.ApiVersions, 0, r.clientID, 0), nil, versionsLimit)
	if large, ok := errors.AsType[*tooLargeError](err); ok {
		return nil, &notKafkaError{why: large.Error()}
	}
	if err != nil {
		return nil, err
	}
	res, err := decodeVersions(answer)
	if err != nil {
		return nil, &notKafkaError{why: err.Error()}
	}
	return res, nil
}

func decodeVersions(data []byte) (*versionsResponse, error) {
	in := fields{data: data}
	res := &versionsResponse{code: Code(in.int16())}
	for range in.count() {
		s := served{protocol.ApiKey(in.int16()), in.int16(), in.int16()}
		if in.bad {
			break
		}
		res.served = append(res.served, s)
	}
	if in.bad {
		return nil, fmt.Errorf("%w to ApiVersions", errAnswer)
	}
	return res, nil
}
