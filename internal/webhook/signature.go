package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// prefix stands before the body in what is signed. Source: LinkedIn, webhook
// validation ("hmacsha256=" and the raw body).
const prefix = "hmacsha256="

// sign is the lower-case hex of HMAC-SHA256 under the app's secret.
func sign(secret string, parts ...string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	for _, p := range parts {
		mac.Write([]byte(p))
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// ChallengeResponse is the answer to LinkedIn's challenge: it proves to know the
// app's secret. Source: LinkedIn, webhook validation.
func ChallengeResponse(secret, code string) string { return sign(secret, code) }

// authenticity is what a signature says of a delivery.
type authenticity int

const (
	forged     authenticity = iota // not LinkedIn's
	unusual                        // LinkedIn's, in a form that is not documented but was seen by integrators
	documented                     // LinkedIn's, as it documents
)

// authenticate tells, in a time that says nothing, whether a delivery with this
// X-LI-Signature is LinkedIn's. The unusual forms are a value with the prefix in front,
// and an HMAC over the body alone.
func authenticate(secret, signature string, body []byte) authenticity {
	want := sign(secret, prefix, string(body))
	if hmac.Equal([]byte(signature), []byte(want)) {
		return documented
	}
	signature = strings.TrimPrefix(signature, prefix)
	prefixed := hmac.Equal([]byte(signature), []byte(want))
	bare := hmac.Equal([]byte(signature), []byte(sign(secret, string(body))))
	if prefixed || bare {
		return unusual
	}
	return forged
}
