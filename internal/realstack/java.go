package realstack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

var javaVersion = regexp.MustCompile(`version "(\d+)`)

// java finds a Java of at least the given version: JAVA_HOME, the one on the
// path, then those that Linux distributions install.
func java(least int) (string, error) {
	candidates := []string{}
	if home := os.Getenv("JAVA_HOME"); home != "" {
		candidates = append(candidates, filepath.Join(home, "bin", "java"))
	}
	if onPath, err := exec.LookPath("java"); err == nil {
		candidates = append(candidates, onPath)
	}
	installed, err := filepath.Glob("/usr/lib/jvm/*/bin/java")
	if err != nil {
		return "", fmt.Errorf("looking for java: %w", err)
	}
	for _, path := range append(candidates, installed...) {
		out, err := exec.Command(path, "-version").CombinedOutput()
		if err != nil {
			continue // not one that runs here
		}
		if m := javaVersion.FindSubmatch(out); m != nil {
			if version, err := strconv.Atoi(string(m[1])); err == nil && version >= least {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("no Java %d or later in JAVA_HOME, on the path or in /usr/lib/jvm", least)
}
