"""A small data set of every kind that `w3action.datasets.sets` reads: real file names, empty videos, official formats.

`DRAW[name](folder)` draws one and gives (root, options of `prepare`, expected rows). A row is (path below the root,
label, split, span), where the span is None, ("seconds", start, end) or ("frames", first, number).
"""

import json
from collections.abc import Callable
from pathlib import Path

Row = tuple[str, str, str | None, tuple | None]
Drawn = tuple[Path, dict[str, object], list[Row]]


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def touch_frames(folder: Path, count: int, template: str = "{:05d}.jpg") -> None:
    touch(folder, *(template.format(number) for number in range(1, count + 1)))


def something_v1(folder: Path) -> Drawn:
    for key in ("7", "12", "100"):
        touch_frames(folder / "20bn-something-something-v1" / key, 3)
    name = "something-something-v1-{}.csv"
    write(folder / name.format("labels"), "Turning the camera left while filming something", "Holding something")
    write(folder / name.format("train"), "7;Holding something", "12;Turning the camera left while filming something")
    write(folder / name.format("validation"), "100;Holding something")
    base = "20bn-something-something-v1"
    return (
        folder,
        {},
        [
            (f"{base}/7", "Holding something", "train", None),
            (f"{base}/12", "Turning the camera left while filming something", "train", None),
            (f"{base}/100", "Holding something", "val", None),
        ],
    )


def something_v2(folder: Path) -> Drawn:
    touch(folder, "7.webm", "12.webm")
    touch_frames(folder / "100", 4, "{:06d}.jpg")  # extracted

    def rows(*pairs: tuple[str, str]) -> str:
        return json.dumps([{"id": key, "label": "holding a cup", "template": text} for key, text in pairs])

    name = "labels/something-something-v2-{}.json"
    labels = {"Putting something onto something": "1", "Holding something": "0"}
    write(folder / name.format("labels"), json.dumps(labels))
    write(
        folder / name.format("train"),
        rows(("7", "Holding [something]"), ("12", "Putting [something] onto [something]")),
    )
    write(folder / name.format("validation"), rows(("100", "Holding [something]")))
    return (
        folder,
        {},
        [
            ("7.webm", "Holding something", "train", None),
            ("12.webm", "Putting something onto something", "train", None),
            ("100", "Holding something", "val", None),
        ],
    )


def jester(folder: Path) -> Drawn:
    for key in ("1", "22"):
        touch_frames(folder / "20bn-jester-v1" / key, 3)
    write(folder / "jester-v1-labels.csv", "Swiping Right", "Swiping Left", "No gesture")
    write(folder / "jester-v1-train.csv", "1;Swiping Right")
    write(folder / "jester-v1-validation.csv", "22;Swiping Left")
    return (
        folder,
        {},
        [
            ("20bn-jester-v1/1", "Swiping Right", "train", None),
            ("20bn-jester-v1/22", "Swiping Left", "val", None),
        ],
    )


def egogesture(folder: Path) -> Drawn:
    for subject in (1, 2, 3):
        touch_frames(folder / f"images/Subject{subject:02d}/Scene4/Color/rgb2", 30, "{:06d}.jpg")
        write(folder / f"labels-final-revised1/subject{subject:02d}/Scene4/Group2.csv", "83,1,10", "5,20,30")
    place = "images/Subject{:02d}/Scene4/Color/rgb2"
    return (
        folder,
        {},
        [
            (place.format(subject), label, split, ("frames", first, count))
            for subject, split in ((3, "train"), (1, "val"), (2, "test"))
            for label, first, count in (("83", 0, 10), ("5", 19, 11))
        ],
    )


def _epic_classes(folder: Path, *, prefix: str, header: str) -> None:
    for task, names in {"verb": ("take", "put"), "noun": ("tap", "spoon", "pan:dust")}.items():
        rows = (f"{place},{name},\"['{name}', 'other']\"" for place, name in enumerate(names))
        write(folder / f"{prefix}_{task}_classes.csv", header.format(task=task), *rows)


def epic55(folder: Path) -> Drawn:
    _epic_classes(folder, prefix="EPIC", header="{task}_id,class_key,list")
    touch(folder, "videos/train/P01/P01_01.MP4")
    touch_frames(folder / "rgb/train/P02/P02_07", 40, "frame_{:010d}.jpg")
    write(
        folder / "EPIC_train_action_labels.csv",
        "uid,participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,verb,verb_class,"
        "noun,noun_class,all_nouns,all_noun_classes",
        '0,P01,P01_01,"put, the pan",00:01:00.14,01:00:03.37,8,202,put,1,dust pan,2,"[\'pan\', \'tap\']","[2, 0]"',
        "1,P02,P02_07,take tap,00:00:00.25,00:00:00.50,15,30,grab,0,tap,0,['tap'],[0]",
    )
    write(folder / "EPIC_video_info.csv", "video,resolution,duration,fps", "P01_01,1920x1080,1652.1,59.94")
    return (
        folder,
        {},
        [
            ("videos/train/P01/P01_01.MP4", "put pan:dust", "train", ("seconds", 60.14, 3603.37)),
            ("rgb/train/P02/P02_07", "take tap", "train", ("frames", 14, 16)),
        ],
    )


def epic100(folder: Path) -> Drawn:
    _epic_classes(folder, prefix="EPIC_100", header="id,key,instances")
    touch(folder, "P01/videos/P01_101.mp4", "P18/videos/P18_02.MP4")
    header = (
        "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,"
        "stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
    )
    row = "{0}_0,{1},{0},00:00:01.089,00:00:01.00,00:00:02.50,50,125,x,x,{2},x,{3},['x'],[0]"
    write(folder / "EPIC_100_train.csv", header, row.format("P01_101", "P01", 1, 0))
    write(
        folder / "EPIC_100_validation.csv",
        header,
        row.format("P18_02", "P18", 0, 2),
        row.format("P01_101", "P01", 1, 0),
    )
    write(folder / "EPIC_100_unseen_participant_ids_validation.csv", "participant_id", "P18")
    write(folder / "EPIC_100_video_info.csv", "video_id,duration,fps,resolution", "P01_101,10,50.0,1920x1080")
    span = ("seconds", 1.0, 2.5)
    return (
        folder,
        {},
        [
            ("P01/videos/P01_101.mp4", "put tap", "train", span),
            ("P18/videos/P18_02.MP4", "take pan:dust", "val", span),
            ("P01/videos/P01_101.mp4", "put tap", "val", span),
        ],
    )


def kinetics(folder: Path) -> Drawn:
    touch(folder, "train_256/air_drumming/-0abcDEF_12_000010_000020.mp4", "val/AAAAAAAAAAA_000003_000013.mkv")
    touch_frames(folder / "frames/BBBBBBBBBBB_000120_000130", 3, "img_{:05d}.jpg")
    header = "label,youtube_id,time_start,time_end,split"
    write(
        folder / "annotations/kinetics400_train.csv",
        header,
        "air drumming,-0abcDEF_12,10,20,train",
        "zumba,BBBBBBBBBBB,120,130,train",
    )
    write(folder / "annotations/kinetics400_val.csv", header, '"abseiling",AAAAAAAAAAA,3,13,val')
    return (
        folder,
        {},
        [
            ("train_256/air_drumming/-0abcDEF_12_000010_000020.mp4", "air drumming", "train", None),
            ("frames/BBBBBBBBBBB_000120_000130", "zumba", "train", None),
            ("val/AAAAAAAAAAA_000003_000013.mkv", "abseiling", "val", None),
        ],
    )


def ucf101(folder: Path) -> Drawn:
    names = [f"Yo Yo/v_YoYo_g0{number}_c01.avi" for number in (1, 2)] + ["Archery/v_Archery_g01_c01.avi"]
    touch(folder / "UCF-101", *(name.replace(" ", "") for name in names))
    lists = folder / "ucfTrainTestlist"
    write(lists / "classInd.txt", "1 YoYo", "2 Archery")
    write(lists / "trainlist02.txt", "YoYo/v_YoYo_g01_c01.avi 1", "Archery/v_Archery_g01_c01.avi 2")
    write(lists / "testlist02.txt", "YoYo/v_YoYo_g02_c01.avi")
    return (
        folder,
        {"fold": 2},
        [
            ("UCF-101/YoYo/v_YoYo_g01_c01.avi", "YoYo", "train", None),
            ("UCF-101/Archery/v_Archery_g01_c01.avi", "Archery", "train", None),
            ("UCF-101/YoYo/v_YoYo_g02_c01.avi", "YoYo", "val", None),
        ],
    )


def hmdb51(folder: Path) -> Drawn:
    touch(folder, "brush_hair/a b #1.avi", "brush_hair/b.avi", "brush_hair/c.avi", "cartwheel/d.avi")
    lists = folder / "testTrainMulti_7030_splits"
    write(lists / "brush_hair_test_split1.txt", "a b #1.avi 1 ", "b.avi 2 ", "c.avi 0 ")
    write(lists / "cartwheel_test_split1.txt", "d.avi 1 ")
    write(lists / "cartwheel_test_split2.txt", "d.avi 2 ")
    return (
        folder,
        {},
        [
            ("brush_hair/a b #1.avi", "brush_hair", "train", None),
            ("brush_hair/b.avi", "brush_hair", "val", None),
            ("cartwheel/d.avi", "cartwheel", "train", None),
        ],
    )


def own_folder(folder: Path) -> Drawn:
    touch(folder, "train/wave/1.mp4", "test/nod/3.avi")
    touch_frames(folder / "train/nod/2", 3)
    return (
        folder,
        {},
        [
            ("test/nod/3.avi", "nod", "test", None),
            ("train/nod/2", "nod", "train", None),
            ("train/wave/1.mp4", "wave", "train", None),
        ],
    )


def own_csv(folder: Path) -> Drawn:
    touch(folder / "media", "1.mp4", "sub/2.mp4")
    touch_frames(folder / "media/3", 30)
    table = write(
        folder / "table.csv",
        "path,label,split,start_s,end_s,start_frame,end_frame",
        "1.mp4,wave,train,0.5,2,,",
        "sub/2.mp4,nod,train,,,,",
        "3,nod,val,,,10,20",
    )
    return (
        folder / "media",
        {"annotations": table},
        [
            ("1.mp4", "wave", "train", ("seconds", 0.5, 2.0)),
            ("sub/2.mp4", "nod", "train", None),
            ("3", "nod", "val", ("frames", 10, 10)),
        ],
    )


def tsm(folder: Path) -> Drawn:
    touch_frames(folder / "frames/a b", 5, "img_{:05d}.jpg")
    touch_frames(folder / "frames/long", 9, "img_{:05d}.jpg")
    touch(folder, "frames/c.webm")
    write(folder / "lists/category.txt", "nod", "wave")
    write(folder / "lists/train_videofolder.txt", "a b 5 1", "long 6 0")
    write(folder / "lists/val_videofolder.txt", "c 77 1")
    options = {"annotations": folder / "lists", "classes": folder / "lists/category.txt"}
    return (
        folder / "frames",
        options,
        [
            ("a b", "wave", "train", None),
            ("long", "nod", "train", ("frames", 0, 6)),
            ("c.webm", "wave", "val", None),
        ],
    )


def mmaction2(folder: Path) -> Drawn:
    for name in ("a 7", "b"):
        touch_frames(folder / f"frames/{name}", 20, "img_{:05d}.jpg")
    write(folder / "val.txt", "a 7 0 20 1", "b 5 10 0", "b 15 5 1")
    options = {"annotations": folder / "val.txt"}
    return (
        folder / "frames",
        options,
        [
            ("a 7", "1", "val", None),
            ("b", "0", "val", ("frames", 5, 10)),
            ("b", "1", "val", ("frames", 15, 5)),
        ],
    )


def slowfast(folder: Path) -> Drawn:
    touch(folder, "a, b.mp4", "c d.mp4")
    write(folder / "train.csv", f"{folder.resolve()}/a, b.mp4 1", "c d.mp4,0")
    return (
        folder.resolve(),
        {"annotations": folder / "train.csv"},
        [
            ("a, b.mp4", "1", "train", None),
            ("c d.mp4", "0", "train", None),
        ],
    )


def ibm(folder: Path) -> Drawn:
    touch_frames(folder / "frames/a", 20)
    touch(folder, "frames/b c.mp4")
    write(folder / "list.txt", "a 1 20 1", "a 6 10 0", "b c.mp4;11;20;1")
    return (
        folder / "frames",
        {"annotations": folder / "list.txt"},
        [
            ("a", "1", None, None),
            ("a", "0", None, ("frames", 5, 5)),
            ("b c.mp4", "1", None, ("frames", 10, 10)),
        ],
    )


DRAW: dict[str, Callable[[Path], Drawn]] = {
    "something_v1": something_v1,
    "something_v2": something_v2,
    "jester": jester,
    "egogesture": egogesture,
    "epic55": epic55,
    "epic100": epic100,
    "kinetics": kinetics,
    "ucf101": ucf101,
    "hmdb51": hmdb51,
    "folder": own_folder,
    "csv": own_csv,
    "tsm": tsm,
    "mmaction2": mmaction2,
    "slowfast": slowfast,
    "ibm": ibm,
}
