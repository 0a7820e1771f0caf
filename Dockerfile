# syntax=docker/dockerfile:1

# Production dependencies only; no install script of any package runs. The optional ones are Node itself,
# which the base image already has.
FROM node:26-slim AS dependencies
WORKDIR /zasov
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:26-slim
ENV NODE_ENV=production
# Compiled code is kept with the data: the process can write nowhere else, and whoever could write there has its keys.
ENV NODE_COMPILE_CACHE=/var/lib/zasov/compiled
WORKDIR /zasov
COPY --from=dependencies /zasov/node_modules ./node_modules
COPY package.json LICENSE ./
COPY gateway ./gateway
COPY policies ./policies
# The program's files stay root's and read-only to the process; only the data directory is its own.
RUN ln -s /zasov/gateway/zasov.mjs /usr/local/bin/zasov \
  && chmod 0755 gateway/zasov.mjs \
  && install -d -o node -g node -m 0700 /var/lib/zasov
USER node
VOLUME /var/lib/zasov
EXPOSE 8443 8444 9464
# Ready means: policies in force, store open, listeners bound, not draining. Node asks, since the image has no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9464/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["zasov"]
CMD ["serve", "--policies", "/zasov/policies", "--data", "/var/lib/zasov"]
