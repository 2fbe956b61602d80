package check

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"leadstream/internal/webhook"
)

// What the webhook answers means this.
var (
	webhookAway = meaning{"webhook", Warn, "it cannot be asked from here, which may be due to this machine's network: %[3]v",
		"start the connector, and let %[1]s lead to webhook.listen, %[2]s"}
	webhookOther = meaning{"webhook", Fail, "%[1]s does not answer LinkedIn's challenge with this app's secret",
		"let it lead to webhook.listen, %[2]s, and compare linkedin.client_secret with the app's"}
	webhookGood = meaning{"webhook", Pass, "%[1]s answers LinkedIn's challenge", ""}
)

// webhook asks the public address as LinkedIn does before it delivers anything:
// with a challenge, to be answered with the app's secret.
//
// Source: LinkedIn, webhook validation.
func (k *checker) webhook(ctx context.Context) error {
	c := k.Config
	if c.Webhook.URL == "" {
		return nil
	}
	address, challenge := webhook.Address(c.Webhook.URL), rand.Text()
	answer, err := askWebhook(ctx, address, challenge)
	found := webhookGood
	switch {
	case err != nil:
		found = webhookAway
	case answer.ChallengeCode != challenge || answer.ChallengeResponse != webhook.ChallengeResponse(c.LinkedIn.ClientSecret.Reveal(), challenge):
		found = webhookOther
	}
	k.say(found, address, c.Webhook.Listen, err)
	return nil
}

// challengeAnswer is the answer to LinkedIn's challenge.
type challengeAnswer struct {
	ChallengeCode     string `json:"challengeCode"`
	ChallengeResponse string `json:"challengeResponse"`
}

// webhookWait is how long LinkedIn waits for the answer.
const webhookWait = 3 * time.Second

func askWebhook(ctx context.Context, address, challenge string) (answer challengeAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, webhookWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?challengeCode="+url.QueryEscape(challenge), nil)
	if err != nil {
		return answer, err
	}
	// LinkedIn asks this address, and not one that it may lead to.
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return answer, err
	}
	defer func() { _ = res.Body.Close() }() // read as far as it matters
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return answer, err
	}
	if json.Unmarshal(body, &answer) != nil || res.StatusCode != http.StatusOK {
		return challengeAnswer{}, nil // an answer, and a wrong one
	}
	return answer, nil
}
