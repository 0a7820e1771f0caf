/**
 * Waits for SIGTERM or SIGINT; calls back for every SIGHUP until then. A second signal to stop ends the process at
 * once, for the operator who will not wait for the drain.
 */
export function untilStopped(onReload: () => void): Promise<void> {
  return new Promise((resolve) => {
    let isStopping = false;
    const stop = () => {
      if (isStopping) process.exit(1);
      isStopping = true;
      resolve();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGHUP', onReload);
  });
}
