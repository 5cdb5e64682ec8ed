import io

LEAVE = "# Leave\n\nStaff get 31 days of paid leave a year.\n\n# Notice\n\nNotice is three months."


def put(client, identity="leave", text=LEAVE, **body):
    return client.put(f"/v1/documents/{identity}?wait=true", json={"text": text, **body})


def search(client, query, **body):
    return client.post("/v1/search", json={"query": query, **body}).json()["hits"]


def test_a_put_document_is_searchable_when_wait_returns(client):
    response = put(client, title="Leave rules", uri="https://example.test/leave")
    assert response.status_code == 200
    body = response.json()
    assert body["state"] == "searchable"
    assert body["num_chunks"] >= 1
    assert body["snapshot"] > 0
    hit = search(client, "paid leave days")[0]
    assert hit["document_id"] == "leave"
    assert hit["title"] == "Leave rules"
    assert hit["uri"] == "https://example.test/leave"
    text = client.get("/v1/documents/leave").json()["text"]
    assert text[hit["start"] : hit["end"]] == hit["text"]


def test_a_put_without_wait_is_accepted_and_ends(client):
    response = client.put("/v1/documents/a", json={"text": LEAVE})
    assert response.status_code == 202
    assert response.json()["state"] in ("queued", "parsing", "embedding", "searchable")


def test_an_update_replaces_and_never_doubles(client):
    put(client)
    put(client, text="# Leave\n\nStaff get 40 days of paid leave a year.")
    texts = [hit["text"] for hit in search(client, "paid leave days", k=50)]
    assert any("40 days" in text for text in texts)
    assert not any("31 days" in text for text in texts)
    assert len(texts) == len(set(texts))


def test_a_delete_is_invisible_to_the_very_next_query(client):
    put(client)
    assert search(client, "paid leave")
    deleted = client.delete("/v1/documents/leave")
    assert deleted.status_code == 200
    assert deleted.json()["snapshot"] > 0
    assert search(client, "paid leave") == []
    assert client.get("/v1/documents/leave").status_code == 404
    assert client.delete("/v1/documents/leave").json()["error"]["code"] == "not_found"


def test_several_files_upload_at_once_and_each_ends_in_a_state(client):
    files = [
        ("files", ("a.md", io.BytesIO(b"# Boats\n\nThe ferry leaves at nine."), "text/markdown")),
        ("files", ("b.bin", io.BytesIO(bytes(range(256)) * 8), "application/octet-stream")),
        ("files", ("empty.txt", io.BytesIO(b""), "text/plain")),
    ]
    response = client.post("/v1/documents?wait=true", files=files)
    assert response.status_code == 200
    states = {row["uri"]: (row["state"], row["error"]) for row in response.json()["documents"]}
    assert states["upload:a.md"] == ("searchable", None)
    assert states["upload:b.bin"][0] == "skipped"
    assert states["upload:empty.txt"][0] == "skipped"
    assert all(error for state, error in states.values() if state != "searchable")


def test_uploads_leave_nothing_in_the_inbox(client):
    client.post("/v1/documents?wait=true", files=[("files", ("a.md", b"# A\n\ntext"))])
    inbox = client.app.state.live.app.home / "inbox"
    assert list(inbox.iterdir()) == []


def test_a_crafted_filename_stays_in_the_inbox(client, tmp_path):
    name = "../../../escape.md"
    client.post("/v1/documents?wait=true", files=[("files", (name, b"# A\n\nescaped text"))])
    assert not list(tmp_path.rglob("escape.md"))
    assert search(client, "escaped text")[0]["uri"] == "upload:escape.md"


def test_the_listing_pages_and_filters_by_state(client):
    for number in range(5):
        put(client, f"doc{number}", f"# Page {number}\n\nsome words")
    client.post("/v1/documents?wait=true", files=[("files", ("x.bin", b"\x00\x01\x02" * 99))])
    first = client.get("/v1/documents?limit=4").json()
    second = client.get("/v1/documents", params={"limit": 4, "after": first["next"]}).json()
    ids = [row["id"] for row in first["documents"] + second["documents"]]
    assert len(ids) == len(set(ids)) == 6
    assert second["next"] is None
    skipped = client.get("/v1/documents?state=skipped").json()["documents"]
    assert [row["uri"] for row in skipped] == ["upload:x.bin"]


def test_groups_decide_what_a_search_sees(client):
    put(client, "open", "# Lunch\n\nLunch is at noon in the canteen.")
    put(client, "secret", "# Lunch budget\n\nLunch costs the board 9 million.", groups=["board"])
    assert {hit["document_id"] for hit in search(client, "lunch", k=20)} == {"open"}
    listed = {row["id"] for row in client.get("/v1/documents").json()["documents"]}
    assert listed == {"open", "secret"}, "the owner of a loopback server manages everything"


def test_collections_are_apart(client):
    put(client, "a", "# Tenant one\n\napples", collection="one")
    put(client, "a", "# Tenant two\n\napples", collection="two")
    assert [h["title"] for h in search(client, "apples", collection="one")] == ["Tenant one"]
    assert search(client, "apples") == []
    client.delete("/v1/documents/a?collection=one")
    assert search(client, "apples", collection="one") == []
    assert search(client, "apples", collection="two")


def test_a_filter_narrows_by_metadata(client):
    put(client, "no", "# Leave\n\nleave in Norway", metadata={"country": "NO", "year": 2025})
    put(client, "se", "# Leave\n\nleave in Sweden", metadata={"country": "SE", "year": 2026})
    assert [h["document_id"] for h in search(client, "leave", filter={"country": "SE"})] == ["se"]
    hits = search(client, "leave", filter={"year": {"$lt": 2026}})
    assert [h["document_id"] for h in hits] == ["no"]


def test_an_id_may_have_slashes(client):
    put(client, "hr/leave.md")
    assert client.get("/v1/documents/hr/leave.md").json()["id"] == "hr/leave.md"


def test_what_has_no_title_is_called_after_its_name_and_not_after_where_it_lay(client):
    text = "the ferry leaves at nine from the old pier, as long as there is no ice."
    put(client, "north-pier", text)
    files = [("files", ("south_pier.txt", f"and {text}".encode(), "text/plain"))]
    client.post("/v1/documents?wait=true", files=files)
    assert {hit["title"] for hit in search(client, "ferry")} == {"North pier", "South pier"}
