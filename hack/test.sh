#!/usr/bin/env bash
# Everything that CI runs. A failing step doesn't stop the ones after it: one run tells all that is wrong.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
trap 'exit 130' INT TERM

summary=""
failed=""
for step in verify vet lint test-workflows test-go conformance gitops install-paths test-image alerts test-chaos-short packets; do
  printf '\n==> %s\n' "$step"
  start=$SECONDS
  if "${MAKE:-make}" --no-print-directory "$step"; then result="ok  "; else result=FAIL failed="$failed $step"; fi
  summary="$summary$(printf '  %s  %-16s %4ds' "$result" "$step" $((SECONDS - start)))"$'\n'
done

printf '\n==> summary\n%s' "$summary"
if [ -n "$failed" ]; then
  echo "FAILED:$failed (run one alone with: make <step>)"
  exit 1
fi
echo "all passed"
