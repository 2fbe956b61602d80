package kafka

import (
	"os"
	"testing"
)

// acts has this executable be something else than the tests, for a test that wants
// processes of its own: what it does, with its exit code, by the environment variable
// that asks for it.
var acts = map[string]func(value string) (code int){}

// afterwards ends what the tests share.
var afterwards []func() error

func TestMain(m *testing.M) {
	for variable, act := range acts {
		if value := os.Getenv(variable); value != "" {
			os.Exit(act(value))
		}
	}
	code := m.Run()
	for _, end := range afterwards {
		if err := end(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}
