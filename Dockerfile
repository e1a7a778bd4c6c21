# One image for all of Onelane's processes: workers, Flower, metrics, migrations. It holds no compiler, no tests, no
# secrets, and runs as a user without rights.
FROM python:3.12-slim-trixie AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY worker worker
COPY tasks tasks
COPY migrations migrations
RUN python -m venv /opt/onelane && /opt/onelane/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.12-slim-trixie
# pg_dump for the backup that `onelane migrate up` makes first; it must not be older than the server.
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-client-17 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --no-create-home onelane && install -d -o onelane /var/lib/onelane /var/lib/mirror
COPY --from=build /opt/onelane /opt/onelane
ENV PATH=/opt/onelane/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/onelane
USER 10001
CMD ["onelane", "--help"]
