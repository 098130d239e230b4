import { Button } from "@mantine/core";
import { useEffect } from "react";
import { useLocation } from "react-router";
import { useLink } from "@/components/server/use-link";
import { clock } from "@/components/text/format";
import { canReload, forgetTyping } from "./typed";

/** When the page last reloaded for a new build: a cache that serves the old build must not cause an endless reload. */
const reloadedKey = "rankscope-reloaded-at";
const reloadPauseMs = 60_000;

/** Shows that the server is unreachable or the page was updated. Overlays the page, so that nothing moves. */
export function LinkBanner() {
  const { isReachable, isUpdated, heardAt } = useLink();
  const { pathname } = useLocation();
  useEffect(forgetTyping, [pathname]);
  useEffect(() => {
    if (isReachable && isUpdated && canReload()) reloadOnce();
  }, [isReachable, isUpdated, pathname]);

  if (!isReachable) {
    return (
      <div className="link-banner" data-kind="unreachable" role="alert" data-testid="link-banner">
        <span>
          <strong>Server unreachable.</strong> Reconnecting…
        </span>
        <span className="numbers link-banner-note">Last response at {clock(heardAt / 1000)}</span>
      </div>
    );
  }
  if (!isUpdated) return null;
  return (
    <div className="link-banner" data-kind="updated" role="status" data-testid="link-banner">
      <span>
        <strong>RankScope was updated.</strong>
      </span>
      <Button size="compact-xs" variant="white" onClick={() => window.location.reload()}>
        Reload
      </Button>
    </div>
  );
}

function reloadOnce(): void {
  const before = Number(window.sessionStorage.getItem(reloadedKey) ?? 0);
  if (Date.now() - before < reloadPauseMs) return;
  window.sessionStorage.setItem(reloadedKey, String(Date.now()));
  window.location.reload();
}
